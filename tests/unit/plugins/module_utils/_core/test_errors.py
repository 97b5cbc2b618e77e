"""An error names action, object, cause and next step, and keeps what the failing program said."""

from __future__ import annotations

from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError


def test_an_error_reads_as_a_sentence_its_next_step_and_the_program_s_words() -> None:
    error = InfraError("start", 'the service "api"', "it ended.", "Look at its log.", detail="Traceback ...")
    assert str(error) == 'Cannot start the service "api": it ended.\nLook at its log.\nTraceback ...'
    assert error.report()["msg"] == str(error)


def test_a_program_gets_the_parts_and_further_facts() -> None:
    report = InfraError("find", '"x"', "gone", "Make it.", pending=["a"]).report()
    assert report["error"] == {"action": "find", "object": '"x"', "cause": "gone", "next_step": "Make it."}
    assert report["pending"] == ["a"]
