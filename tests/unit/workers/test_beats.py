from solar_orch.workers.beats import BeatWatch


def test_a_beat_that_stands_still_for_a_lease_has_expired():
    watch = BeatWatch(10.0, 20.0)
    assert watch.expired({"a": 1, "b": 1}, 100.0) == []
    assert watch.expired({"a": 1, "b": 2}, 109.0) == []
    assert watch.expired({"a": 1, "b": 2}, 110.0) == ["a"]
    assert watch.expired({"a": 1, "b": 2}, 119.0) == ["a", "b"]


def test_a_beat_that_moves_again_lives():
    watch = BeatWatch(10.0, 20.0)
    watch.expired({"a": 1}, 0.0)
    assert watch.expired({"a": 1}, 10.0) == ["a"]
    assert watch.expired({"a": 2}, 11.0) == []


def test_what_was_away_begins_anew():
    watch = BeatWatch(10.0, 20.0)
    watch.expired({"a": 1}, 0.0)
    watch.expired({}, 5.0)
    assert watch.expired({"a": 1}, 12.0) == []


def test_time_in_which_nobody_looked_does_not_count():
    watch = BeatWatch(10.0, 4.0)
    watch.expired({"a": 1}, 0.0)
    # Stopped for an hour, as was perhaps the one that is watched.
    assert watch.expired({"a": 1}, 3600.0) == []
    assert watch.expired({"a": 1}, 3604.0) == []
    assert watch.expired({"a": 1}, 3606.0) == ["a"]
