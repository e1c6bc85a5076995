"""The shell script that runs a command on another host, and ends it when its connection goes.

It is read from the channel's stdin, and not given as an argument, so that a
command and its environment are in nobody's list of processes, here or there,
and may be of any length.  Behind the script comes what the command reads; the
channel then stays open until the command has ended, or is to be ended: the
end of stdin is how it hears of a kill, and of a connection or a worker that
is gone.  POSIX shell, and ``/proc`` where there is one.
"""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Mapping, Sequence

from solar_orch.workers.session import GRACE

#: Written to stderr behind a command that ends with 255, the code with which ssh tells of its own failure.
ENDED_WITH_255 = "solar: the command itself ended with exit code 255"

#: Seconds between two looks at what is to be ended.
_PAUSE = 0.1
#: After so many looks what does not go on SIGKILL either is given up.
_MOST_LOOKS = 120

# Everything is in one pair of braces: a script that was cut off on its way does nothing at all.
# What a shell says of a child that is killed goes to its own stderr, and not to that of the command.
_SCRIPT = """{{
exec 3<&0 </dev/null
{stdin}{env}{cwd}solar_signal() {{
  solar_found=
  if [ ! -r /proc/$$/stat ]; then
    kill -s $1 -- -$$ && solar_found=yes
    return
  fi
  for solar_stat in /proc/[0-9]*/stat; do
    read -r solar_line <$solar_stat || continue
    solar_pid=${{solar_line%% *}}
    solar_fields=${{solar_line##*) }}
    case $solar_fields in [ZX]*) continue ;; esac
    solar_fields=${{solar_fields#* * * }}
    [ "${{solar_fields%% *}}" = $$ ] || continue
    [ $solar_pid = $$ ] || [ $solar_pid = $solar_me ] && continue
    solar_found=yes
    kill -s $1 $solar_pid
  done
}}
(
  while read -r solar_rest; do :; done
  trap "" TERM
  read -r solar_me solar_rest </proc/self/stat
  solar_signal TERM
  solar_signal CONT
  solar_n=0
  while [ "$solar_found" ] && [ $solar_n -lt {most} ]; do
    sleep {pause} || sleep 1
    solar_n=$((solar_n+1))
    if [ $solar_n -lt {grace} ]; then solar_signal 0; else solar_signal KILL; fi
  done
  solar_signal KILL
) <&3 >/dev/null 2>&1 &
solar_watcher=$!
exec 3<&- 4>&2 2>/dev/null
trap : TERM
/bin/sh -c 'eval "exec 5<&-
$(cat <&5)"' 2>&4 4>&- 5<<'{end}'
{command}
{end}
solar_code=$?
kill $solar_watcher
wait $solar_watcher
[ $solar_code -ne 255 ] || echo {mark} >&4
exit $solar_code
}}
"""

# A file, because what is left in a pipe that nobody reads would hide the end of the channel.
_STDIN = """solar_file=$(mktemp) || exit 1
head -c {size} <&3 >"$solar_file"
exec 4<"$solar_file"
solar_size=$(wc -c <"$solar_file")
rm -f "$solar_file"
[ $solar_size -eq {size} ] || exit 255
exec <&4 4<&-
"""


def script(
    command: str | Sequence[str],
    *,
    env: Mapping[str, str],
    cwd: str | None = None,
    stdin_size: int | None = None,
) -> bytes:
    """What is to be sent first.

    :param command: a text is run by ``/bin/sh -c``, the words of a list are quoted for it
    :param env: names must be those of shell variables
    :param cwd: None: where the login shell begins
    :param stdin_size: bytes that follow for the command to read; None: it reads nothing
    """
    text = command if isinstance(command, str) else f"exec {shlex.join(command)}"
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    return _SCRIPT.format(
        stdin="" if stdin_size is None else _STDIN.format(size=stdin_size),
        env="".join(f"export {name}={shlex.quote(value)}\n" for name, value in env.items()),
        cwd="" if cwd is None else f"cd {shlex.quote(_not_an_option(cwd))} || exit\n",
        command=text,
        # A line that no text can hold, since it would have to hold its own digest.
        end=f"solar_{digest}",
        most=_MOST_LOOKS,
        grace=round(GRACE / _PAUSE),
        pause=_PAUSE,
        mark=shlex.quote(ENDED_WITH_255),
    ).encode("utf-8", "surrogatepass")


def invocation(sent: bytes) -> str:
    """The command for ``ssh HOST``: reads this script from stdin and runs it, whatever the login shell is."""
    # Byte by byte, because what follows is not for the script.
    return f"exec /bin/sh -c 'eval \"$(dd bs=1 count={len(sent)} 2>/dev/null)\"'"


def _not_an_option(path: str) -> str:
    return f"./{path}" if path.startswith("-") else path
