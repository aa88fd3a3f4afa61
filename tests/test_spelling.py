"""Misspelt names of settings are found, and other programs' names are left alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.config import Settings
from bot.spelling import meant

SETTINGS = frozenset(Settings.model_fields)

# What a shell, systemd, docker, CI, desktops, cloud machines and other bots set.
FOREIGN = """
    PATH HOME USER USERS LOGNAME SHELL LANG LC_ALL TERM TZ PWD OLDPWD SHLVL HOSTNAME EDITOR MAIL TMPDIR
    DATA DATADIR DATA_PATH DATA_HOME DATABASE DATABASE_URI DATABASE_HOST DATABASE_NAME DB_URL
    API API_KEY API_URL API_TOKEN API_HOST API_USER APP_ID API_IDS API_SECRET OPENAI_API_KEY TOKEN
    BOT_NAME BOT_USERNAME TELEGRAM_BOT_TOKEN TELEGRAM_TOKEN TELEGRAM_API_ID TELEGRAM_API_HASH TG_CHAT_ID
    CHAT_ID CHAT_IDS TELEGRAM_CHAT_ID TELEGRAM_ALLOWED_USERS TELEGRAM_ADMIN_USERS ALLOWED_HOSTS
    ALLOWED_ORIGINS CORS_ALLOWED_ORIGINS DJANGO_ALLOWED_HOSTS ALLOWED_SOURCES ADMIN ADMIN_USER
    ADMIN_USERNAME ADMIN_EMAIL ADMIN_PASSWORD ADMINS SUDO_USER SUDO_UID DB_USER SOURCE_DB_USER SOURCE
    SOURCE_DATE_EPOCH SOURCE_DIR SOURCE_BRANCH TARGET TARGET_ARCH TARGETARCH TARGETPLATFORM
    SESSION SESSION_MANAGER SESSION_SECRET SESSION_KEY DESKTOP_SESSION XDG_SESSION_ID XDG_RUNTIME_DIR
    XDG_DATA_DIRS GNOME_DESKTOP_SESSION_ID LOG LOGLEVEL LOG_LEVELS LOG_FILE LOG_DIR LOG_FORMATTER
    DEBUG VERBOSE HEALTH HEALTHCHECK_PORT HEALTH_CHECK_PORT HEALTH_PATH HEALTH_HOSTS HEALTHCHECK_URL PORT
    HOST CACHE_TTL CACHE_TTL_HOURS TTL TTL_HOURS AIRFLOW_HOME WORKFLOW_ID ML_FLOW_TRACKING_URI
    RELAY RELAY_HOST RELAY_PORT RELAY_URL SMTP_RELAY_HOST SIGNAL SIGNALS STOPSIGNAL SIGNAL_NUMBER ALERT
    ALERTS ALERTMANAGER_URL SILENCE INVOCATION_ID JOURNAL_STREAM NOTIFY_SOCKET SYSTEMD_EXEC_PID
    LISTEN_FDS LISTEN_PID MAINPID STATE_DIRECTORY RUNTIME_DIRECTORY CREDENTIALS_DIRECTORY
    COMPOSE_PROJECT_NAME COMPOSE_FILE DOCKER_HOST KUBERNETES_SERVICE_HOST KUBERNETES_PORT GPG_KEY
    PYTHONPATH PYTHONUNBUFFERED PYTHON_VERSION VIRTUAL_ENV PIP_INDEX_URL CI GITHUB_ACTIONS GITHUB_TOKEN
    GITHUB_API_URL GITHUB_RUN_ID AWS_REGION AWS_ACCESS_KEY_ID SSH_CONNECTION SSH_AUTH_SOCK SSH_CLIENT
    SSH_ALLOWED_USERS HTTP_PROXY HTTPS_PROXY NO_PROXY LS_COLORS LESSOPEN DISPLAY COLORTERM _
"""


@pytest.mark.parametrize("shared", [True, False], ids=["environment", "file"])
@pytest.mark.parametrize(
    "name",
    [
        "SOURCE_ALLOWED_USER", "SOURCE_ALOWED_USERS", "SOURCES_ALLOWED_USERS", "SOURCE_ALLOW_USERS",
        "SOURCE_ALLOWED_USERS_", "SOURCE_ALLOWED_USER_IDS", "SOURCEALLOWEDUSERS", "ALLOWED_USERS",
        "ALLOWED_USER", "USERS_ALLOWED", "source_allowed_user", "Allowed_Users", "SOURCE_USERS_ALLOWED",
    ],
)  # fmt: skip
def test_who_meant_the_allow_list_is_told_so(name, shared):
    """Unseen, it would leave in force what another line says, which may be `everyone`."""
    assert meant(name, SETTINGS, shared=shared) == "source_allowed_users"


@pytest.mark.parametrize(
    ("name", "setting"),
    [
        ("FLOW_TTL_HOUR", "flow_ttl_hours"),
        ("FLOW_TTL", "flow_ttl_hours"),
        ("FLOW_AFTERTTL", "flow_after_ttl"),
        ("AFTER_TTL", "flow_after_ttl"),
        ("RELAY_EDIT", "relay_edits"),
        ("SIGNAL_MARKER", "signal_markers"),
        ("SOURCE_CHATID", "source_chat_id"),
        ("TARGET_CHAT_IDS", "target_chat_id"),
        ("ALERT_SILENCE", "alert_silence_hours"),
    ],
)
def test_so_is_whoever_meant_a_setting_that_only_this_program_has(name, setting):
    assert meant(name, SETTINGS, shared=True) == setting
    assert meant(name, SETTINGS) == setting


def test_in_a_file_of_ours_a_name_that_others_have_too_was_meant_as_well():
    assert meant("ADMIN_USER", SETTINGS) == "admin_users"
    assert meant("LOGLEVEL", SETTINGS) == "log_level"
    assert meant("TELEGRAM_ALLOWED_USERS", SETTINGS) == "source_allowed_users"


@pytest.mark.parametrize("name", FOREIGN.split())
def test_nothing_of_another_program_is_taken_for_a_misspelling(name):
    assert meant(name, SETTINGS, shared=True) is None


@given(st.sampled_from(sorted(SETTINGS)), st.booleans())
def test_no_setting_is_a_misspelling_of_another(name, shared):
    assert meant(name, SETTINGS, shared=shared) is None
    assert meant(name.upper(), SETTINGS, shared=shared) is None


@given(st.text())
def test_no_name_is_too_strange(name):
    meant(name, SETTINGS)
