import io
from pathlib import Path

from local_stack.output import Console, LogFile


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def console_with(stream: io.StringIO, *, echo: bool = True) -> Console:
    console = Console(stream, echo=echo)
    console.register("auth")
    console.register("gateway")
    return console


def test_lines_stand_behind_the_name_of_their_process_plain_where_no_terminal_is() -> None:
    stream = io.StringIO()
    console = console_with(stream)
    console.line("auth", "hello")
    console.line("gateway", "hello")
    assert stream.getvalue() == "auth    | hello\ngateway | hello\n"


def test_a_terminal_gets_a_colour_for_each_process() -> None:
    stream = Terminal()
    console = console_with(stream)
    console.line("auth", "hello")
    console.line("gateway", "hello")
    assert stream.getvalue() == "\033[36mauth    |\033[0m hello\n\033[32mgateway |\033[0m hello\n"


def test_without_echo_only_the_runners_own_words_are_printed() -> None:
    stream = io.StringIO()
    console = console_with(stream, echo=False)
    console.line("auth", "hello")
    console.say("Ready.")
    assert stream.getvalue() == "Ready.\n"


def test_a_log_that_has_grown_too_large_is_put_aside_once(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "auth.log", bytes_max=10)
    for line in ("first line", "second line", "third"):
        log.write(line)
    log.close()
    assert (tmp_path / "auth.log").read_text() == "third\n"
    assert (tmp_path / "auth.log.1").read_text() == "second line\n"
