"""Shell completion after `python3 oppman.py`. Typer's scripts complete only after `oppman.py`, if it is on the PATH."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from opportune.cli.registry import COMPLETION_VARIABLE

BASH = rf"""
_oppman_completion() {{
    local IFS=$'\n' at=0
    if [[ ${{1##*/}} != oppman.py ]]; then
        [[ ${{COMP_WORDS[1]##*/}} == oppman.py && $COMP_CWORD -gt 1 ]] || return 0
        at=1
    fi
    COMPREPLY=( $( env COMP_WORDS="${{COMP_WORDS[*]:$at}}" \
                   COMP_CWORD=$((COMP_CWORD - at)) \
                   {COMPLETION_VARIABLE}=complete_bash "${{COMP_WORDS[@]:0:at+1}}" 2>/dev/null ) )
    return 0
}}

complete -o bashdefault -o default -F _oppman_completion oppman.py python3 python py
"""
ZSH = rf"""
#compdef oppman.py python3 python

_oppman_completion() {{
  local at=1
  if [[ ${{words[1]:t}} != oppman.py ]]; then
    [[ ${{words[2]:t}} == oppman.py && $CURRENT -gt 2 ]] || {{ _files; return }}
    at=2
  fi
  eval $(env _TYPER_COMPLETE_ARGS="${{words[$at,$CURRENT]}}" \
             {COMPLETION_VARIABLE}=complete_zsh ${{words[1,$at]}} 2>/dev/null)
}}

compdef _oppman_completion oppman.py python3 python
"""
SCRIPTS = {".bash_completions/oppman.py.sh": BASH, ".zfunc/_oppman.py": ZSH}
"""Scripts by the file in the home folder to which Typer writes its own."""


def complete_after_python(command: Any) -> None:
    """Make `--install-completion` install these scripts. Typer's `--show-completion` would print its own."""
    command.params = [option for option in command.params if option.name != "show_completion"]
    for option in command.params:
        if option.name == "install_completion":
            option.callback = _replacing_scripts(option.callback)


def _replacing_scripts(install: Callable[..., Any]) -> Callable[..., Any]:
    def install_and_replace(*arguments: Any) -> Any:
        try:
            return install(*arguments)
        except SystemExit:  # installed
            for name, script in SCRIPTS.items():
                if (file := Path.home() / name).exists():
                    file.write_text(script.lstrip(), encoding="utf-8")
            raise

    return install_and_replace
