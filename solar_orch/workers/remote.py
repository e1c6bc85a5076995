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
# A group is signalled as a whole, what is killed is stopped before, and the command's stderr is not
# that of the script: no shell tells there of a child that died.
_SCRIPT = r"""{{
exec 3<&0 </dev/null
{stdin}{cwd}solar_look() {{
  solar_all= solar_apart=
  set -- $(exec sed -n 's/^\([0-9]*\) (.*) [^ZX] \([0-9]*\) \([0-9]*\) '$$' .*/\1 \2 \3/p' /proc/[0-9]*/stat)
  while [ $# -ge 3 ]; do
    case " $1 $2 " in
      " $$ "* | *" $solar_me "*) ;;
      *) solar_all="$solar_all $1"; [ $3 = $$ ] || solar_apart="$solar_apart $1" ;;
    esac
    shift 3
  done
  [ "$solar_all" ]
}}
(
  while read -r solar_rest; do :; done
  trap "" TERM
  if ! read -r solar_me solar_rest </proc/self/stat; then
    kill -s TERM -- -$$
    sleep {grace}
    kill -s KILL -- -$$
  fi
  solar_look
  kill -s TERM -- -$$ $solar_apart
  kill -s CONT -- -$$ $solar_apart
  solar_n=0
  while solar_look || solar_look && [ $solar_n -lt {most} ]; do
    if [ $solar_n -ge {patient} ]; then
      kill -s STOP $solar_all
      kill -s KILL $solar_all
    fi
    solar_n=$((solar_n+1))
    sleep {pause} || sleep 1
  done
) <&3 >/dev/null 2>&1 &
solar_watcher=$!
exec 3<&- 4>&2 2>/dev/null
trap : TERM
(exec /bin/sh -c 'eval "exec 5<&-
$(cat <&5)"') 2>&4 4>&- 5<<'{end}'
{env}{command}
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
    exports = "".join(f"export {name}={shlex.quote(value)}\n" for name, value in env.items())
    digest = hashlib.sha256(f"{exports}{text}".encode("utf-8", "surrogatepass")).hexdigest()
    return _SCRIPT.format(
        stdin="" if stdin_size is None else _STDIN.format(size=stdin_size),
        env=exports,
        cwd="" if cwd is None else f"cd {shlex.quote(_not_an_option(cwd))} || exit\n",
        command=text,
        # A line that no text can hold, since it would have to hold its own digest.
        end=f"solar_{digest}",
        most=_MOST_LOOKS,
        grace=round(GRACE),
        patient=round(GRACE / _PAUSE),
        pause=_PAUSE,
        mark=shlex.quote(ENDED_WITH_255),
    ).encode("utf-8", "surrogatepass")


def invocation(sent: bytes) -> str:
    """The command for ``ssh HOST``: reads this script from stdin and runs it, whatever the login shell is."""
    # Byte by byte, because what follows is not for the script.
    return f"exec /bin/sh -c 'eval \"$(dd bs=1 count={len(sent)} 2>/dev/null)\"'"


def _not_an_option(path: str) -> str:
    return f"./{path}" if path.startswith("-") else path
