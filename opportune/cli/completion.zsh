#compdef oppman.py python3 python

_oppman_completion() {
  local at=1
  if [[ ${words[1]:t} != oppman.py ]]; then
    [[ ${words[2]:t} == oppman.py && $CURRENT -gt 2 ]] || { _files; return }
    at=2
  fi
  eval $(env _TYPER_COMPLETE_ARGS="${words[$at,$CURRENT]}" \
             _OPPMAN.PY_COMPLETE=complete_zsh ${words[1,$at]} 2>/dev/null)
}

compdef _oppman_completion oppman.py python3 python
