import pytest
from chassis.settings import EXIT_BAD_SETTINGS, MissingSetting, Profile, ServiceSettings, load_settings


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setenv("CRYPTOVAULT_LISTEN", "127.0.0.1:18010")
    return monkeypatch


def test_the_profile_is_production_unless_told_otherwise(environment: pytest.MonkeyPatch) -> None:
    settings = load_settings(ServiceSettings)
    assert settings.profile is Profile.PRODUCTION
    assert not settings.profile.is_playground


def test_a_missing_setting_ends_the_start_in_one_line_with_its_name(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("CRYPTOVAULT_LISTEN", raising=False)
    with pytest.raises(SystemExit) as stopped:
        load_settings(ServiceSettings)
    assert stopped.value.code == EXIT_BAD_SETTINGS
    assert capsys.readouterr().err == "refusing to start: CRYPTOVAULT_LISTEN is not set\n"


def test_a_bad_setting_is_named_but_its_value_is_not_shown(
    environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    environment.setenv("CRYPTOVAULT_METRICS_PORT", "hunter2")
    with pytest.raises(SystemExit):
        load_settings(ServiceSettings)
    line = capsys.readouterr().err
    assert "CRYPTOVAULT_METRICS_PORT" in line
    assert "hunter2" not in line


@pytest.mark.parametrize("profile", ["local", "bench", "production"])
def test_a_crash_point_is_refused_outside_the_test_profile(
    environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], profile: str
) -> None:
    environment.setenv("CRYPTOVAULT_PROFILE", profile)
    environment.setenv("CRYPTOVAULT_CRASH_POINT", "after_append")
    with pytest.raises(SystemExit):
        load_settings(ServiceSettings)
    assert "crash_point" in capsys.readouterr().err


def test_urls_with_passwords_never_show(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("CRYPTOVAULT_AMQP_URL", "amqp://user:hunter2@127.0.0.1:18003")
    settings = load_settings(ServiceSettings)
    assert "hunter2" not in repr(settings)
    assert "hunter2" not in str(settings.model_dump())
    assert settings.required("amqp_url") == "amqp://user:hunter2@127.0.0.1:18003"


def test_a_backend_that_is_used_must_be_set(environment: pytest.MonkeyPatch) -> None:
    environment.delenv("CRYPTOVAULT_MONGO_URL", raising=False)
    with pytest.raises(MissingSetting, match="CRYPTOVAULT_MONGO_URL is not set"):
        load_settings(ServiceSettings).required("mongo_url")
