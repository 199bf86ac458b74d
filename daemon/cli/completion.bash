# bash completion for kith(1)

_kith()
{
	local cur prev command= word words cword
	local commands="status get graph export watch top promises explain replay log plugins cost check ack silence silences help version"
	local common="--socket --json --timeout --color --verbose --help --version"

	if declare -F _init_completion > /dev/null; then
		# names hold colons: they are one word here
		_init_completion -n := || return
	else
		cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}
		words=("${COMP_WORDS[@]}") cword=$COMP_CWORD
	fi
	for word in "${words[@]:1:cword-1}"; do
		case " $commands " in
		*" $word "*)
			command=$word
			break
			;;
		esac
	done
	case $prev in
	-s | --socket | --state-dir)
		COMPREPLY=($(compgen -f -- "$cur"))
		return
		;;
	--every)
		COMPREPLY=($(compgen -W "day week mon..fri sat,sun" -- "$cur"))
		return
		;;
	--color)
		COMPREPLY=($(compgen -W "auto always never" -- "$cur"))
		return
		;;
	--priority | -p)
		COMPREPLY=($(compgen -W "emergency alert critical error warning notice info debug" -- "$cur"))
		return
		;;
	--timeout | --for | --since | --count | -n | --last | --grep | -g | --fields | --until | --because | --from | --to)
		return
		;;
	esac
	if [[ $cur == -* ]]; then
		case $command in
		watch) common+=" --for --count --samples --records --transitions" ;;
		top) common+=" --for --count" ;;
		promises) common+=" --broken --kept --unknown --reliability" ;;
		explain) common+=" --since" ;;
		check) common+=" --explain" ;;
		replay) common+=" --since" ;;
		get) common+=" --since --until --step --as" ;;
		export) common+=" --since --until --step --state-dir" ;;
		graph) common+=" --since --until --output --width --height --title" ;;
		log) common+=" --since --until --priority --grep --fields --last --follow --own --system" ;;
		ack) common+=" --until --because --promiser --remove" ;;
		silence) common+=" --promiser --from --to --for --every --because --remove" ;;
		esac
		COMPREPLY=($(compgen -W "$common" -- "$cur"))
		return
	fi
	case $command in
	"" | help)
		COMPREPLY=($(compgen -W "$commands" -- "$cur"))
		;;
	get | graph | watch | top)
		COMPREPLY=($(compgen -W "$(kith --timeout 1s --color never get 2> /dev/null | awk '{ print $1 }')" -- "$cur"))
		;;
	promises | explain | ack | silence)
		COMPREPLY=($(compgen -W "$(kith --timeout 1s --color never promises 2> /dev/null | awk '{ print $2 }' | sort -u)" -- "$cur"))
		;;
	export)
		COMPREPLY=($(compgen -W "csv rrd" -- "$cur") $(compgen -d -- "$cur"))
		;;
	check | replay)
		COMPREPLY=($(compgen -f -- "$cur"))
		;;
	esac
	if declare -F __ltrim_colon_completions > /dev/null; then
		__ltrim_colon_completions "$cur"
	fi
}
complete -F _kith kith
