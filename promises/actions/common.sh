# shellcheck shell=sh disable=SC2034,SC2154
# What the actions share. They source it; $here is the folder that holds it.
#
# What a promise's promiser or reason says is text of somebody else, any bytes at all. It is never evaluated or split: it goes on
# in double quotes, in the environment or on standard input.
set -u
set -f
unset IFS CDPATH
PATH=${PATH:+$PATH:}/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export PATH
# Characters are bytes here; tools get a locale of their own.
LC_ALL=C
export LC_ALL
# Set by the system for services in part only; some tools end without it.
HOME=${HOME:-$(getent passwd "$(id -u)" 2>/dev/null | cut -d: -f6)}
HOME=${HOME:-/}
export HOME
me=${0##*/}
newline='
'
testing=no
for awk in awk mawk gawk; do
	command -v "$awk" >/dev/null 2>&1 && break
done

# One line, without control characters, of a bounded length: what is said stands in a record.
line()
{
	printf '%s' "$1" | tr '\000-\037\177' ' ' | head -c 2000
}

say()
{
	printf '%s\n' "$(line "$1")"
}

# fail STATUS TEXT: 1 it did not work, 2 it was called the wrong way, 75 not now, 127 a program is missing
fail()
{
	printf '%s: %s\n' "$me" "$(line "$2")" >&2
	exit "$1"
}

# need PROGRAM [PACKAGE]
need()
{
	command -v "$1" >/dev/null 2>&1 || fail 127 "$1 is not installed here${2:+ (Debian: apt-get install $2)}"
}

# The value of an option, which has to be there
option_value()
{
	[ "$2" -ge 2 ] || fail 2 "$1 needs a value; $me --help says more"
}

bad_option()
{
	fail 2 "there is no option $1; $me --help says which there are"
}

# number OPTION VALUE LEAST MOST
number()
{
	case $2 in
	'' | *[!0-9]* | ??????*) fail 2 "$1 takes a number from $3 to $4, not \"$2\"" ;;
	esac
	if [ "$2" -lt "$3" ] || [ "$2" -gt "$4" ]; then
		fail 2 "$1 takes a number from $3 to $4, not $2"
	fi
}

# A word for a shell, in quotes where it needs them: for --test
quoted()
{
	case $1 in
	'' | *[!A-Za-z0-9_./:=@%,+-]*) printf "'%s'" "$(printf '%s' "$1" | sed "s/'/'\\\\''/g")" ;;
	*) printf '%s' "$1" ;;
	esac
}

would_run()
{
	printf 'would run:'
	for word in "$@"; do
		printf ' '
		quoted "$word"
	done
	printf '\n'
}

# ---- what happened --------------------------------------------------------------------------------------------------

# words VERB: actions.awk over standard input
words()
{
	"$awk" -v VERB="$1" -f "$here/actions.awk"
}

# text VERB: over the document
text()
{
	printf '%s\n' "$document" | words "$1"
}

get()
{
	printf '%s\n' "$document" | {
		WANT=$1
		export WANT
		words get
	}
}

# The document: on standard input, or of the environment when that is empty. Bytes that are no UTF-8 are left out.
event_read()
{
	need "$awk" mawk
	host=$(uname -n)
	ACTION_HOST=$host
	export ACTION_HOST
	document=
	if [ ! -t 0 ]; then
		document=$(head -c 262144 2>/dev/null | iconv -c -f UTF-8 -t UTF-8 2>/dev/null)
	fi
	case $document in
	*[![:space:]]*) ;;
	*) document=$(words document </dev/null | iconv -c -f UTF-8 -t UTF-8) ;;
	esac
	[ -n "$document" ] || fail 2 "there is nothing to tell: neither standard input nor KITH_PROMISE says what happened"
	get to >/dev/null 2>&1 || fail 2 "what stands on standard input is no JSON object"
}

# An action's alone: promise, promiser, family, instance, and stem: the instance as others call it, without a unit's suffix
event_resource()
{
	event_read
	promise=$(get promise)
	promiser=$(get promiser)
	[ -n "$promise" ] || fail 2 "this is no action of a promise: there is no KITH_PROMISE"
	family=${promiser%%:*}
	instance=
	stem=
	case $promiser in
	*:*) instance=${promiser#*:} ;;
	esac
	stem=$instance
	[ "$family" != service ] || stem=${instance%.service}
	family=$(plain "$family")
	label=$(plain "$stem")
	name=${family}${label:+_$label}
}

# A text as a name that every tool takes: lower case letters, digits, underscores
plain()
{
	printf '%s' "$1" | tr '[:upper:]' '[:lower:]' | tr -c 'a-z0-9' '_' | tr -s '_' |
		sed 's/^_//; s/_$//' | head -c 100
}

# replaced TEXT FROM TO: every FROM in TEXT
replaced()
{
	rest=$1
	out=
	while :; do
		case $rest in
		*"$2"*)
			out=$out${rest%%"$2"*}$3
			rest=${rest#*"$2"}
			;;
		*) break ;;
		esac
	done
	printf '%s' "$out$rest"
}

# An option's text with what it stands for: %f the family, %i the instance, %n both, %p the promise
filled()
{
	filled=$(replaced "$1" %f "$family")
	filled=$(replaced "$filled" %i "$label")
	filled=$(replaced "$filled" %n "$name")
	replaced "$filled" %p "$(plain "$promise")"
}

# ---- one at a time --------------------------------------------------------------------------------------------------

# A folder to write to, of nobody else's. kithd's own sandbox leaves few.
run_folder()
{
	if [ "$(id -u)" -eq 0 ]; then
		for folder in /run/kith /run /var/lib/kith; do
			if [ -d "$folder" ] && [ -w "$folder" ]; then
				printf '%s' "$folder"
				return 0
			fi
		done
		fail 1 "neither /run/kith nor /run nor /var/lib/kith can be written to"
	fi
	folder=${XDG_RUNTIME_DIR:-}
	if [ -z "$folder" ] || [ ! -w "$folder" ]; then
		folder=/tmp/kith-actions-$(id -u)
		mkdir -m 700 "$folder" 2>/dev/null || :
	fi
	if [ ! -d "$folder" ] || [ -L "$folder" ] || [ "$(stat -c %u "$folder")" != "$(id -u)" ] || [ ! -w "$folder" ]; then
		fail 1 "$folder is no folder of this user's own"
	fi
	printf '%s' "$folder"
}

# lock NAME SECONDS: this run alone, from here to its end. $waited says in words whether that took time.
lock()
{
	need flock util-linux
	waited=
	folder=$(run_folder) || exit 1
	(umask 077 && : >>"$folder/kith-$1.lock") 2>/dev/null || fail 1 "$folder/kith-$1.lock cannot be written"
	exec 9>>"$folder/kith-$1.lock"
	if ! flock -n 9; then
		flock -w "$2" 9 || fail 75 "another run of $1 has not ended within $2 s; nothing was started"
		waited=", after another run had ended"
	fi
}

# ---- running a tool -------------------------------------------------------------------------------------------------

# Whether this is in the sandbox of kithd.service, which lets nothing write
in_sandbox()
{
	[ -d /run/systemd/system ] && [ "$(id -u)" -eq 0 ] && command -v systemd-run >/dev/null 2>&1 &&
		grep -q '^NoNewPrivs:[[:space:]]*1' /proc/self/status 2>/dev/null
}

# outside UNIT PROGRAM ARGUMENT...: as it is; from kithd's sandbox as a unit of its own, with the variables that $carry names.
# UNIT may be empty: then systemd gives it a name.
outside()
{
	unit=$1
	shift
	if in_sandbox; then
		set -- -- "$@"
		for variable in HOME LC_ALL ${carry:-}; do
			set -- --setenv="$variable" "$@"
		done
		[ -z "$unit" ] || set -- --unit="$unit" "$@"
		set -- systemd-run --quiet --collect --wait --pipe --service-type=exec --property=RuntimeMaxSec="${limit:-3600}" "$@"
	fi
	"$@"
}

# run_tool PROGRAM ARGUMENT...: $status, and $output, the end of what it wrote. One that an action which was stopped left behind
# is still a unit.
run_tool()
{
	if in_sandbox && systemctl is-active --quiet "kith-$me.service"; then
		fail 75 "kith-$me.service still runs, of an action that was stopped; nothing was started"
	fi
	output=$({
		LC_ALL=C.UTF-8 outside "kith-$me" "$@" </dev/null 2>&1 9>&-
		printf '\n%s\n' "$?"
	} | tail -n 60 | tail -c 12000)
	status=${output##*"$newline"}
	output=${output%"$newline"*}
}

output_lines()
{
	printf '%s\n' "$output" | tr '\001-\011\013-\037\177' ' ' | grep -v '^[[:space:]]*$' | cut -c 1-400
}

# What it was, and what the tool said of it: lines that speak of a failure, else the last ones
tool_failed()
{
	printf '%s: %s\n' "$me" "$(line "$1")" >&2
	lines=$(output_lines | grep -i -E 'error|fatal|failed|"msg"|cannot|not found' | tail -n 6)
	[ -n "$lines" ] || lines=$(output_lines | tail -n 6)
	printf '%s\n' "$lines" >&2
	exit 1
}
