from __future__ import annotations

from ansible_collections.nexod.infra.plugins.module_utils._alembic import module


def test_short_words_of_the_environment_are_not_blanked() -> None:
    class Module:
        params = {"environment": {"STAGE": "prod", "N": 1, "KEY": "a-long-secret"}, "url": "postgresql://o:pw@h/app"}
        no_log_values = {"prod", "1", "a-long-secret", "postgresql://o:pw@h/app"}

    fake = Module()
    module.register_secrets(fake)
    assert fake.no_log_values == {"a-long-secret", "postgresql://o:pw@h/app"}
