# What zsh makes of lines when Tab is pressed behind them, one a line:
#   zsh -f complete.zsh SCRIPT LINE...
# The keys are Emacs's, whatever EDITOR says. They are handled in order, so that Tab is done with before
# the line is made an argument of print.
zmodload zsh/zpty
zpty z zsh -f -i
zpty -w z "PS1= PS2=; bindkey -e; autoload -Uz compinit; compinit -u -D; source ${(q)1}; stty -echo; print -r -- RE''ADY"
# Keys that come before the line editor is there would be the terminal's.
zpty -r z ready $'*READY*'
shift
for line; do
  zpty -w -n z "$line"$'\t'$'\C-a'"print -r -- '<<' "$'\C-e'" '>>'"$'\n'
  zpty -r z found $'*\n<<*>>*'
  found=${found##*$'\n'<< }
  print -r -- "${found%% >>*}"
done
zpty -d z
