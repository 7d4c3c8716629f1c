"""`cryptovault exchange replay`: the state is that of the live exchange."""

import asyncio

from traded_exchange import Traded


async def test_a_replay_gives_the_live_states_hash_from_wherever_it_starts(traded: Traded) -> None:
    whole, shortened, earlier = await asyncio.gather(
        traded.run("replay", "--json"),
        traded.run("replay", "--from-snapshot", "--json"),
        traded.run("replay", "--to", "3"),
    )
    assert (whole.exit_code, shortened.exit_code, earlier.exit_code) == (0, 0, 0)
    assert whole.facts["state_hash"] == shortened.facts["state_hash"] == traded.state_hash
    # Progress is told beside the output, which stays JSON.
    assert "folding" in whole.complaint
    assert whole.facts["started_at"] == 0
    assert shortened.facts["started_at"] == traded.rested
    assert "state hash" in earlier.output
    assert traded.state_hash not in earlier.output
    beyond = await traded.run("replay", "--to", "1000")
    assert beyond.exit_code == 1
    assert f"the journal ends at batch {traded.head}" in beyond.output
