"""Shell completion after `python3 oppman.py`.

Typer's own scripts complete only after `oppman.py`, and in zsh only if it is on the PATH. They are used if a release of
Typer no longer has its private dictionary of scripts.
"""

BASH = r"""
%(complete_func)s() {
    local IFS=$'\n' at=0
    if [[ ${1##*/} != %(prog_name)s ]]; then
        [[ ${COMP_WORDS[1]##*/} == %(prog_name)s && $COMP_CWORD -gt 1 ]] || return 0
        at=1
    fi
    COMPREPLY=( $( env COMP_WORDS="${COMP_WORDS[*]:$at}" \
                   COMP_CWORD=$((COMP_CWORD - at)) \
                   %(autocomplete_var)s=complete_bash "${COMP_WORDS[@]:0:at+1}" 2>/dev/null ) )
    return 0
}

complete -o bashdefault -o default -F %(complete_func)s %(prog_name)s python3 python py
"""
ZSH = r"""
#compdef %(prog_name)s python3 python

%(complete_func)s() {
  local at=1
  if [[ ${words[1]:t} != %(prog_name)s ]]; then
    [[ ${words[2]:t} == %(prog_name)s && $CURRENT -gt 2 ]] || { _files; return }
    at=2
  fi
  eval $(env _TYPER_COMPLETE_ARGS="${words[$at,$CURRENT]}" \
             %(autocomplete_var)s=complete_zsh ${words[1,$at]} 2>/dev/null)
}

compdef %(complete_func)s %(prog_name)s python3 python
"""


def complete_after_python() -> None:
    try:
        from typer._completion_shared import _completion_scripts  # noqa: PLC0415 - private, may be missing
    except ImportError:
        return
    _completion_scripts.update(bash=BASH, zsh=ZSH)
