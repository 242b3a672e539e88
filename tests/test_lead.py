"""How early plans are asked for, by what answers took."""

import pytest

from bridge.lead import REMEMBERED, SAFETY, UNKNOWN_S, Lead


def learnt(*answers: tuple[float, int, float]) -> Lead:
    lead = Lead()
    for response_s, candidates, spare_s in answers:
        lead.learn(response_s, candidates, spare_s)
    return lead


def test_before_anything_was_answered_there_is_a_fixed_lead() -> None:
    assert Lead().seconds(8) == UNKNOWN_S


def test_the_slowest_of_the_newest_answers_counts_with_something_added() -> None:
    lead = learnt((0.01, 1, 0.0), (0.05, 1, 0.0), (0.02, 1, 0.0))
    assert lead.seconds(1) == pytest.approx(SAFETY * 0.05)
    for _ in range(REMEMBERED):
        lead.learn(0.01)
    assert lead.seconds(1) == pytest.approx(SAFETY * 0.01)


def test_there_is_time_for_the_drafts_wanted() -> None:
    lead = learnt((0.05, 11, 0.03))  # 20 ms, and 3 ms each for ten more
    assert lead.one_s == pytest.approx(SAFETY * 0.02)
    assert lead.seconds(8) == pytest.approx(SAFETY * (0.02 + 7 * 0.003))


def test_drafts_are_not_given_more_than_a_quarter_of_a_second_but_one_has_what_it_takes() -> None:
    assert learnt((0.9, 10, 0.8)).seconds(8) == UNKNOWN_S
    assert learnt((0.9, 1, 0.0)).seconds(8) == pytest.approx(SAFETY * 0.9)


@pytest.mark.parametrize(("left_s", "fits"), [(0.03, True), (0.02, False)])
def test_an_answer_fits_by_the_slowest_of_the_newest(left_s: float, fits: bool) -> None:
    assert learnt((0.02, 1, 0.0)).fits(left_s) is fits


def test_the_rule_is_told_anew_only_when_its_figures_change() -> None:
    lead = learnt((0.02, 1, 0.0))
    assert "120 bpm" in str(lead.news(1, 0.031, 120))
    assert lead.news(1, 0.031, 121) is None
    assert "200 bpm" in str(lead.news(1, 0.019, 200))
    lead.learn(0.1)
    assert "125 ms" in str(lead.news(1, 0.019, 200))
