# Helpers of the rig scripts: waiting for a condition, starting and stopping by pid, and the guard. Sourced, not run.
# Nothing here finds a process by its name: what is stopped is what a pid file of the same directory says was started.

RIG=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
PY=${PY:-/usr/bin/python3} # Debian's own: it is the one that has pymilter
export PYTHONDONTWRITEBYTECODE=1

die() {
  echo "$(basename "$0"): $*" >&2
  exit 1
}

# help_if_asked "$@" : the comment at the head of the script is its manual
help_if_asked() {
  case ${1:-} in -h | --help)
    sed -n '2,/^[^#]/{/^#/s/^# \{0,1\}//p}' "$0"
    exit 0
    ;;
  esac
}

# wait_until SECONDS CMD... : until CMD succeeds
wait_until() {
  local i n=$(($1 * 20))
  shift
  for ((i = 0; i < n; i++)); do
    "$@" && return 0
    sleep .05
  done
  return 1
}

# listening PORT : something listens there. By /proc, because a probing connection would be a session at the milter under test.
listening() {
  awk -v h="$(printf ':%04X' "$1")" '$4 == "0A" && substr($2, length($2) - 4) == h { f = 1 } END { exit !f }' /proc/net/tcp /proc/net/tcp6
}
wait_listen() { wait_until "${2:-20}" listening "$1"; }

is_socket() { [ -S "$1" ]; }
has_text() { [ -s "$1" ]; }

# pid_in FILE : the pid, or nothing
pid_in() { [ -s "$1" ] && tr -d ' \n' < "$1"; }

# alive PID : running, and not a zombie that init has yet to reap (kill -0 succeeds on those)
alive() {
  local st
  { read -r st < "/proc/$1/stat"; } 2>/dev/null || return 1
  st=${st##*) }
  [ "${st:0:1}" != Z ]
}
gone() { ! alive "$1"; }

# children PID : direct children
children() { cat "/proc/$1"/task/*/children 2>/dev/null; }

# bg PIDFILE LOG CMD... : start detached, in a session (and process group) of its own
bg() {
  local pidfile=$1 log=$2
  shift 2
  setsid "$@" >> "$log" 2>&1 < /dev/null &
  echo $! > "$pidfile"
}

# stop_pid PID [SECONDS] : TERM, wait, KILL
stop_pid() {
  alive "$1" || return 0
  kill -TERM "$1" 2>/dev/null
  wait_until "${2:-10}" gone "$1" || { kill -KILL "$1" 2>/dev/null; wait_until 5 gone "$1"; }
}

# stop_file PIDFILE [SECONDS] : the same for what bg started; the pid file goes
stop_file() {
  local p
  p=$(pid_in "$1") || return 0
  stop_pid "$p" "${2:-10}"
  rm -f "$1"
}

# stop_group PIDFILE : what bg started and all in its process group. KILL follows TERM soon: libmilter looks for its stop flag
# every 5 s only, and nothing here is worth that wait.
stop_group() {
  local p i
  p=$(pid_in "$1") || return 0
  rm -f "$1"
  # not ourselves (a guard becomes the -down script), and only a group that is still led by what bg started
  [ "$p" != $$ ] && [ "$(awk '{ sub(/.*\) /, ""); print $3 }' "/proc/$p/stat" 2>/dev/null)" = "$p" ] || return 0
  kill -TERM -- "-$p" 2>/dev/null
  for i in 1 2 3 4; do
    gone "$p" && break
    sleep .05
  done
  kill -KILL -- "-$p" 2>/dev/null
  wait_until 5 gone "$p"
}

# guard DOWN DIR : with RIG_OWNER=pid in the environment, runs DOWN DIR when that process is gone, so that a test runner that
# was killed leaves nothing behind
guard() {
  [ -n "${RIG_OWNER:-}" ] || return 0
  bg "$2/guard.pid" /dev/null bash -c 'while [ -d "/proc/$1" ]; do sleep 2; done; exec "$2" "$3"' guard "$RIG_OWNER" "$1" "$2"
}

# traversable DIR : Postfix's users must be able to reach it
traversable() {
  local d
  d=$(readlink -f "$1")
  while [ "$d" != / ]; do
    [ $((0$(stat -c %a "$d") & 1)) = 1 ] || chmod o+x "$d" || die "$d is not searchable by other users"
    d=$(dirname "$d")
  done
}

# start_sink DIR PORT [sink.py options] : PORT empty or 0 takes a free one; sets SINK
start_sink() {
  local dir=$1 port=${2:-0}
  shift 2
  rm -f "$dir/sink.port"
  bg "$dir/sink.pid" "$dir/sink.log" "$PY" "$RIG/lib/sink.py" --portfile "$dir/sink.port" "$@" 127.0.0.1 "$port" "$dir/mail"
  wait_until 20 has_text "$dir/sink.port" || die "the sink did not start: $(cat "$dir/sink.log")"
  SINK=$(cat "$dir/sink.port")
}

# make_cert DIR : a self-signed certificate
make_cert() {
  [ -s "$1/key.pem" ] && return 0
  openssl req -x509 -newkey rsa:2048 -nodes -days 3650 -subj /CN=mx.rig.example -keyout "$1/key.pem" -out "$1/cert.pem" 2>/dev/null
  chmod 600 "$1/key.pem"
}

# make_sasldb DIR USER:PASSWORD... : users without a realm get example.com
make_sasldb() {
  local dir=$1 u name realm
  shift
  for u in "$@"; do
    name=${u%%:*} realm=example.com
    case $name in *@*) realm=${name#*@} name=${name%@*} ;; esac
    printf '%s' "${u#*:}" | saslpasswd2 -p -c -f "$dir/sasldb2" -u "$realm" "$name"
  done
  chmod 600 "$dir/sasldb2"
}
sasl_conf() { printf 'pwcheck_method: auxprop\nauxprop_plugin: sasldb\nsasldb_path: %s\nmech_list: PLAIN LOGIN CRAM-MD5\n' "$1"; }

# sendmail_root : where sendmail-fetch unpacks by default
sendmail_root() {
  if [ -n "${SENDMAIL_ROOT:-}" ]; then echo "$SENDMAIL_ROOT"
  elif [ "$(id -u)" = 0 ]; then echo /var/cache/milterhost-test/sendmail
  else echo "${XDG_CACHE_HOME:-$HOME/.cache}/milterhost-test/sendmail"; fi
}
