#!/usr/bin/env bash
# netlab.sh - reproducible network lab in network namespaces, with known ground truth.
#
#   agent --l1-- [x1 .. x5 --] r1 --l2-- r2 --l3-- target     (IPv4 + IPv6, static neighbours, no DAD/RA noise)
#                                \--l4-- r3 --l5--/           (second path: `set net ecmp=on` or `route=r3`)
#   x1..x5 are plain routers on unimpaired veth links, there only when the path has more than 3 hops.
#
#   netlab.sh up [--no-services] [--hops N]   build (idempotent: an intact lab is kept and its impairments cleared)
#   netlab.sh down                      remove everything this lab made
#   netlab.sh set l1..l5 key=val ...    impair a link (see below); `set l2 clear` undoes it; `set all clear`
#   netlab.sh set net key=val ...       network behaviour (see below); `set net clear` undoes it
#                                       several at once: `set all clear l1 delay=2ms l2 loss=1% net ecmp=on`
#   netlab.sh preset NAME               clean lan dsl lte sat wifi lossy bloat pmtu pmtu-blackhole ecmp
#   netlab.sh sites N                   N = 2..4 offices: agent and, beside it on r1 by unimpaired links, o2 .. oN
#                                       (10.77.22.2 .. 10.77.24.2), and the node edge (10.77.30.2). A management network that no
#                                       impairment touches joins them: edge 10.78.0.1, agent 10.78.0.11, o2 10.78.0.12 ..
#   netlab.sh exec [--unpriv] NS CMD..  run CMD in agent|r1|r2|r3|target|o2..o4|edge (its resolv.conf points at the lab DNS);
#                                       --unpriv: uid nobody without CAP_NET_RAW; ping, fping, mtr-packet, traceroute without
#                                       file capabilities (so only ping sockets remain, see net ping-group)
#   netlab.sh status                    what is configured and running        (exit 1 when down or damaged)
#   netlab.sh truth                     JSON: rtt, loss, pmtu, hops ... that a correct tool must report
#   netlab.sh counters [--reset]        JSON: packets in/lost/tail-dropped/out per link, direction, protocol (exact)
#   netlab.sh trace                     the fate of every packet on every link since the last reset, one JSON array a line:
#                                       [in_us, out_us, link, up|down, family, protocol, o(ut)|l(ost)|t(aildrop), flags or
#                                       ICMP type, ttl, IP length, port or id, port or seq, source, destination, TCP seq];
#                                       an ICMP error carries the ports or id and seq of the packet that it quotes
#   netlab.sh env                       shell assignments: addresses, ports, CA file
#
# Link keys (dir=both|up|down; up = away from agent; default both; values are PER DIRECTION, so RTT gets 2x):
#   delay=20ms jitter=5ms dist=uniform|normal  loss=1%  loss-nth=10 (every 10th, exact)  loss-burst=P%,R% (Gilbert:
#   P% chance to enter, R% to leave the all-lost state)  dup=1%  reorder=5% (skips the delay)  keep-order=0|1
#   corrupt=1%  rate=10mbit  queue=64kb|100ms (default 50ms of the rate)  ecn-mark=20kb|5% (CE above a backlog | at random)
#   mtu=1400 (both ends)  mtu-silent=1400 (middle silently drops larger packets)  state=up|down  seed=N
# Net keys: icmp-blackhole=on|off (routers send no frag-needed / packet-too-big)  silent=r1,r2|none (no time-exceeded)
#   ecmp=off|on|both (on: forward path hashed per flow; both: return path too)  dscp=keep|0..63 (r1 rewrites towards target)
#   dscp-down=keep|0..63 (r2 rewrites towards agent)  ecn=keep|clear|drop-syn  filter=none|icmp|udp|high-udp|tcp-syn-PORT
#   (dropped at r2)  icmp-ratelimit=0|1000 (ms, routers+target; Linux default 1000, lab default 0)  ping-group=open|closed
#   hops=3..8 (from agent to target; resets the counters)  route=r2|r3 (the way between r1 and target, both directions)
#   clock-offset=MS (STAMP reflector clock; restarts services)  cc=keep|reno|cubic|bbr (what the host allows)
#
# Needs: root, /dev/net/tun, ip (iproute2), a C compiler or NETLAB_EMU=/path/to/nlemu; for the
# options: nft (nftables); for services: node >= 20, openssl.  Links are TAP pairs joined by a user-space emulator (nlemu),
# because sch_netem is often missing; it also counts every drop, which netem cannot do per protocol.
# Everything lives in namespaces named nl-$NETLAB_ID-*, and in $NETLAB_STATE (default /run/netlab-$NETLAB_ID).
# Several labs may run at once with different NETLAB_ID ([a-z0-9]{1,8}, default "0"); they share nothing.
set -euo pipefail
export LC_ALL=C PATH="$PATH:/usr/sbin:/sbin"
ID=${NETLAB_ID:-0}; [[ $ID =~ ^[a-z0-9]{1,8}$ ]] || { echo "netlab: bad NETLAB_ID" >&2; exit 2; }
ST=${NETLAB_STATE:-/run/netlab-$ID}
ALL_NODES=(agent r1 r2 r3 target x1 x2 x3 x4 x5); NODES=(agent r1 r2 r3 target)   # NODES: those of the present shape
SITE_NODES=(o2 o3 o4 edge)                         # there after `sites` only
# link: nodeA:ifA nodeB:ifB netnumber
declare -A LA=([l1]=agent:eth0 [l2]=r1:eth1 [l3]=r2:eth1 [l4]=r1:eth2 [l5]=r3:eth1)
declare -A LB=([l1]=r1:eth0 [l2]=r2:eth0 [l3]=target:eth0 [l4]=r3:eth0 [l5]=target:eth1)
declare -A LN=([l1]=1 [l2]=2 [l3]=3 [l4]=4 [l5]=5)
LINKS=(l1 l2 l3 l4 l5)
T4=10.77.100.1; T6=fd77:100::1
declare -A S=()                                   # whole configuration, keys like l2.up.delay, l2.mtu, net.ecmp
die() { echo "netlab: $*" >&2; exit 1; }
ns() { echo "nl-$ID-$1"; }
inns() { local n=$1; shift; ip netns exec "$(ns "$n")" "$@"; }
ipn() { local n=$1; shift; ip -n "$(ns "$n")" "$@"; }
sysc() { local n=$1; shift; local kv; for kv; do inns "$n" sh -c 'p=/proc/sys/$(echo "${1%%=*}" | tr . /); [ -w "$p" ] && printf %s "${1#*=}" >"$p" 2>/dev/null || :' sh "$kv"; done; }

LKEYS=(delay jitter dist loss nth gep ger dup reorder corrupt rate limit ecnth ecnpct keep seed)
declare -A LDEF=([delay]=0 [jitter]=0 [dist]=uniform [loss]=0 [nth]=0 [gep]=0 [ger]=0 [dup]=0 [reorder]=0 [corrupt]=0 [rate]=0 [limit]=0 [ecnth]=0 [ecnpct]=0 [keep]=1 [seed]=1)
declare -A NDEF=([icmp-blackhole]=off [silent]=none [ecmp]=off [dscp]=keep [dscp-down]=keep [ecn]=keep [filter]=none [icmp-ratelimit]=0 [ping-group]=open [clock-offset]=0 [cc]=keep [hops]=3 [route]=r2)
defaults_link() { local l=$1 d k; for d in up down; do for k in "${LKEYS[@]}"; do S[$l.$d.$k]=${LDEF[$k]}; done; done; S[$l.mtu]=1500; S[$l.mtu-silent]=0; S[$l.state]=up; }
defaults_net() { local k; for k in "${!NDEF[@]}"; do S[net.$k]=${NDEF[$k]}; done; }
# With extra routers l1 ends at the first of them instead of r1.
shape() { local k; NODES=(agent r1 r2 r3 target); LB[l1]=r1:eth0; for ((k = 1; k <= ${S[net.hops]} - 3; k++)); do NODES+=("x$k"); LB[l1]=x1:eth0; done; }
load_state() { S=(); local l; for l in "${LINKS[@]}"; do defaults_link "$l"; done; defaults_net; [ -f "$ST/state" ] || return 0; local k v; while IFS='=' read -r k v; do [ -n "$k" ] && S[$k]=$v; done <"$ST/state"; shape; }
save_state() { local k; for k in "${!S[@]}"; do echo "$k=${S[$k]}"; done | sort >"$ST/state.tmp"; mv "$ST/state.tmp" "$ST/state"; }

# ---- value parsing (all to base units: us, percent, bit/s, bytes)
num() { [[ $1 =~ ^[0-9]+(\.[0-9]+)?$ ]] || die "not a number: $1"; echo "$1"; }
us() { [[ $1 =~ ^([0-9]+(\.[0-9]+)?)(us|ms|s)$ ]] || die "bad time '$1' (want 500us, 20ms, 1s)"; awk -v v="${BASH_REMATCH[1]}" -v u="${BASH_REMATCH[3]}" 'BEGIN{printf "%d", v*(u=="us"?1:u=="ms"?1e3:1e6)}'; }
pc() { local v=${1%\%}; num "$v" >/dev/null; awk -v v="$v" 'BEGIN{exit !(v>=0&&v<=100)}' || die "percent out of range: $1"; echo "$v"; }
bps() { [[ $1 =~ ^([0-9]+(\.[0-9]+)?)(bit|kbit|mbit|gbit)$ ]] || die "bad rate '$1' (want 500kbit, 10mbit)"; awk -v v="${BASH_REMATCH[1]}" -v u="${BASH_REMATCH[3]}" 'BEGIN{printf "%d", v*(u=="bit"?1:u=="kbit"?1e3:u=="mbit"?1e6:1e9)}'; }
bytes() { [[ $1 =~ ^([0-9]+)(b|kb|mb)?$ ]] || die "bad size '$1' (want 64kb)"; awk -v v="${BASH_REMATCH[1]}" -v u="${BASH_REMATCH[2]:-b}" 'BEGIN{printf "%d", v*(u=="b"?1:u=="kb"?1024:1048576)}'; }

# ---- processes: a pid is ours only when its start time matches the one recorded
started() { awk '{print $22}' <(sed 's/^.*) /1 c /' "/proc/$1/stat" 2>/dev/null) 2>/dev/null; }
remember() { echo "$2 $(started "$2")" >"$ST/$1.pid"; }
alive() { local p t; [ -f "$ST/$1.pid" ] || return 1; read -r p t <"$ST/$1.pid" || return 1; [ -n "${t:-}" ] && [ "$(started "$p")" = "$t" ] && ! gone "$p" && PID=$p; }
gone() { ! grep -q '^State:.[^ZX]' "/proc/$1/status" 2>/dev/null; }   # a zombie (no reaper in some containers) counts as gone
stop() { if alive "$1"; then kill "$PID" 2>/dev/null || :; local i; for i in {1..40}; do gone "$PID" && break; sleep 0.05; done; gone "$PID" || kill -9 "$PID" 2>/dev/null || :; fi; rm -f "$ST/$1.pid"; }

emu_conf() {
  local l d k; { echo "gen $1"; for l in "${LINKS[@]}"; do for d in up down; do
    printf 'dir %s %s' "$l" "$([ $d = up ] && echo 0 || echo 1)"; for k in "${LKEYS[@]}"; do printf ' %s=%s' "$k" "${S[$l.$d.$k]}"; done; echo; done; done; } >"$ST/emu.conf.tmp"
  mv "$ST/emu.conf.tmp" "$ST/emu.conf"; }
emu_signal() { # $1 signal; waits for the file it has written anew: the statistics, or $2
  local i f=${2:-emu.stats}; alive emu || die "emulator is not running (netlab.sh up)"; rm -f "$ST/$f"; kill -"$1" "$PID"
  for i in {1..500}; do [ -s "$ST/$f" ] && return 0; sleep 0.01; done; die "emulator did not answer"; }
apply_links() {
  emu_conf $((RANDOM * 32768 + RANDOM)); emu_signal USR1; local l e
  for l in "${LINKS[@]}"; do for e in "${LA[$l]}" "${LB[$l]}"; do
    ipn "${e%:*}" link set "${e#*:}" mtu "${S[$l.mtu]}"; done
    for e in "${LA[$l]}" "${LB[$l]}"; do [ "${S[$l.state]}" = down ] && ipn "${e%:*}" link set "${e#*:}" down || link_up "$l" "$e"; done; done
  for e in "${NODES[@]}"; do ipn "$e" route flush cache 2>/dev/null || :; ipn "$e" -6 route flush cache 2>/dev/null || :; done
  chain_up; routes; silent_mtu; }
mac() { local i=0 n; for n in "${ALL_NODES[@]}"; do [ "$n" = "${1%:*}" ] && break; i=$((i + 1)); done; printf '02:77:00:00:0%d:0%d' "$i" "${1: -1}"; }
# addresses: in 10.77.N.0/24 and fd77:N::/64 the end nearer the agent is .1 on l2..l5; on l1 the agent is .2 and r1 is .1
host() { if [ "$1" = l1 ]; then [ "$2" = A ] && echo 2 || echo 1; else [ "$2" = A ] && echo 1 || echo 2; fi; }
link_up() { # (re)apply addresses and permanent neighbours: IPv6 addresses vanish when a link goes down
  local l=$1 e=$2 me pe peer; [ "$e" = "${LA[$l]}" ] && { me=A; pe=B; peer=${LB[$l]}; } || { me=B; pe=A; peer=${LA[$l]}; }
  end_up "$e" "$peer" "${LN[$l]}" "$(host "$l" $me)" "$(host "$l" $pe)"; }
end_up() { # end, peer end, net, own and peer's host number
  local e=$1 peer=$2 N=$3 h=$4 p=$5 n=${1%:*} i=${1#*:}
  ipn "$n" link set "$i" up; ipn "$n" addr replace "10.77.$N.$h/24" dev "$i"; ipn "$n" -6 addr replace "fd77:$N::$h/64" dev "$i" nodad
  ipn "$n" neigh replace "10.77.$N.$p" lladdr "$(mac "$peer")" dev "$i" nud permanent; ipn "$n" -6 neigh replace "fd77:$N::$p" lladdr "$(mac "$peer")" dev "$i" nud permanent; }
# The extra routers: x1 -- x2 -- .. -- r1, net 10+k between the k-th and the next one.
chain_len() { echo $((${S[net.hops]} - 3)); }
chain_end() { [ "$1" -lt "$(chain_len)" ] && echo "x$(($1 + 1)):eth0" || echo r1:eth0; }   # what x$1:eth1 is wired to
chain_up() { local k a b K; K=$(chain_len); for ((k = 1; k <= K; k++)); do a=x$k:eth1 b=$(chain_end "$k")
  ipn "x$k" link show eth1 >/dev/null 2>&1 || { ipn "x$k" link add eth1 address "$(mac "$a")" type veth peer name eth0 address "$(mac "$b")" netns "$(ns "${b%:*}")"; quiet "x$k" eth1; quiet "${b%:*}" eth0; }
  end_up "$a" "$b" $((10 + k)) 1 2; end_up "$b" "$a" $((10 + k)) 2 1; done; }
chain_routes() { # towards the target by the default route, towards the agent by its net and those of the routers in between
  local k j K via n; K=$(chain_len); for ((k = 1; k <= K; k++)); do rt "x$k" default via "10.77.$((10 + k)).2"; rt6 "x$k" default via "fd77:$((10 + k))::2"
    n=x$((k + 1)); [ "$k" = "$K" ] && n=r1; via=$((10 + k)); rt "$n" 10.77.1.0/24 via 10.77.$via.1; rt6 "$n" fd77:1::/64 via fd77:$via::1
    for ((j = 1; j < k; j++)); do rt "$n" 10.77.$((10 + j)).0/24 via 10.77.$via.1; rt6 "$n" fd77:$((10 + j))::/64 via fd77:$via::1; done; done; }
quiet() { sysc "$1" "net.ipv6.conf.$2.accept_ra=0" "net.ipv6.conf.$2.accept_dad=0" "net.ipv6.conf.$2.router_solicitations=0"; }
routes() {
  rt() { local n=$1; shift; ipn "$n" route replace "$@" 2>/dev/null || :; }; rt6() { local n=$1; shift; ipn "$n" -6 route replace "$@" 2>/dev/null || :; }
  rt agent default via 10.77.1.1; rt6 agent default via fd77:1::1
  chain_routes; local f=${S[net.ecmp]} w=2 back=3; [ "${S[net.route]}" = r2 ] || { w=4 back=5; }
  # A multipath IPv6 route is not replaced but added to; a single one is replaced in one step, without a gap.
  if [ "$f" != off ] || [ "$(ipn r1 -6 route show $T6/128 2>/dev/null | wc -l)" -gt 1 ]; then ipn r1 -6 route flush "$T6/128" 2>/dev/null || :; fi
  if [ "$f" = off ]; then rt r1 $T4/32 via 10.77.$w.2; rt6 r1 $T6/128 via fd77:$w::2
  else rt r1 $T4/32 nexthop via 10.77.2.2 nexthop via 10.77.4.2; rt6 r1 $T6/128 nexthop via fd77:2::2 nexthop via fd77:4::2; fi
  rt r1 10.77.3.0/24 via 10.77.2.2; rt6 r1 fd77:3::/64 via fd77:2::2; rt r1 10.77.5.0/24 via 10.77.4.2; rt6 r1 fd77:5::/64 via fd77:4::2
  rt r2 $T4/32 via 10.77.3.2; rt6 r2 $T6/128 via fd77:3::2; rt r2 default via 10.77.2.1; rt6 r2 default via fd77:2::1
  rt r3 $T4/32 via 10.77.5.2; rt6 r3 $T6/128 via fd77:5::2; rt r3 default via 10.77.4.1; rt6 r3 default via fd77:4::1
  if [ "$f" = both ] || [ "$(ipn target -6 route show default 2>/dev/null | wc -l)" -gt 1 ]; then ipn target -6 route flush default 2>/dev/null || :; fi
  if [ "$f" = both ]; then rt target default src $T4 nexthop via 10.77.3.1 nexthop via 10.77.5.1; rt6 target default nexthop via fd77:3::1 nexthop via fd77:5::1
  elif [ "$f" = on ]; then rt target default via 10.77.3.1 src $T4; rt6 target default via fd77:3::1 src $T6
  else rt target default via 10.77.$back.1 src $T4; rt6 target default via fd77:$back::1 src $T6; fi; }
chain() { [ -z "$3" ] || printf ' chain %s { type filter hook %s;\n%s }\n' "$1" "$2" "$3"; }   # name, "hook priority", rules
nft_table() { # node table [body]: (re)place one of our tables
  local n=$1 t=$2 b=${3:-}; command -v nft >/dev/null || { [ -z "$b" ] && return 0; die "this option needs nft (nftables)"; }
  inns "$n" nft delete table inet "$t" 2>/dev/null || :; [ -z "$b" ] || printf 'table inet %s {\n%s\n}\n' "$t" "$b" | inns "$n" nft -f -; }
silent_mtu() { local l e m b n; for n in "${NODES[@]}"; do b=; for l in "${LINKS[@]}"; do m=${S[$l.mtu-silent]}; [ "$m" = 0 ] && continue
    for e in "${LA[$l]}" "${LB[$l]}"; do [ "${e%:*}" = "$n" ] && b+="  oifname \"${e#*:}\" meta length > $m counter drop"$'\n'; done; done
    nft_table $n nl_silent "$(chain p "postrouting priority 300" "$b")"; done; }
apply_net() {
  local n b f; for n in "${NODES[@]}"; do [[ $n == [rx]* ]] || continue; b='' f=''
    [ "${S[net.icmp-blackhole]}" = on ] && f=$'  icmp type destination-unreachable icmp code frag-needed counter drop\n  icmpv6 type packet-too-big counter drop\n' b=$f
    [[ ,${S[net.silent]}, == *,$n,* ]] && b+=$'  icmp type time-exceeded counter drop\n  icmpv6 type time-exceeded counter drop\n'
    nft_table $n nl_icmp "$(chain o "output priority 0" "$b"; chain f "forward priority 0" "$f")"; done
  b=; [ "${S[net.dscp]}" = keep ] || b+="  oifname { \"eth1\", \"eth2\" } ip dscp set ${S[net.dscp]}"$'\n'"  oifname { \"eth1\", \"eth2\" } ip6 dscp set ${S[net.dscp]}"$'\n'
  [ "${S[net.ecn]}" = clear ] && b+=$'  oifname { "eth1", "eth2" } ip ecn set not-ect\n  oifname { "eth1", "eth2" } ip6 ecn set not-ect\n'
  [ "${S[net.ecn]}" = drop-syn ] && b+=$'  tcp flags & (syn|ecn|cwr) == syn|ecn|cwr counter drop\n'
  nft_table r1 nl_mark "$(chain m "forward priority mangle" "$b")"
  b=; [ "${S[net.dscp-down]}" = keep ] || b="  oifname \"eth0\" ip dscp set ${S[net.dscp-down]}"$'\n'"  oifname \"eth0\" ip6 dscp set ${S[net.dscp-down]}"$'\n'
  nft_table r2 nl_mark "$(chain m "forward priority mangle" "$b")"
  b=; case ${S[net.filter]} in none) ;; icmp) b=$'  icmp type echo-request counter drop\n  icmpv6 type echo-request counter drop\n';; udp) b=$'  meta l4proto udp counter drop\n';;
    high-udp) b=$'  udp dport 33434-34000 counter drop\n';; tcp-syn-*) b="  tcp dport ${S[net.filter]#tcp-syn-} tcp flags & (syn|ack) == syn counter drop"$'\n';; esac
  for n in r2 r3; do nft_table $n nl_filter "$(chain f "forward priority 10" "$b")"; done
  for n in "${NODES[@]}"; do [ "$n" = agent ] || sysc $n net.ipv4.icmp_ratelimit="${S[net.icmp-ratelimit]}" net.ipv6.icmp.ratelimit="${S[net.icmp-ratelimit]}"; done
  [ "${S[net.ping-group]}" = open ] && sysc agent "net.ipv4.ping_group_range=0 2147483647" || sysc agent "net.ipv4.ping_group_range=1 0"
  b=${S[net.cc]}; [ "$b" != keep ] || b=$(cat "$ST/cc0"); for n in agent target; do sysc $n "net.ipv4.tcp_congestion_control=$b"
    f=$(inns $n cat /proc/sys/net/ipv4/tcp_congestion_control); [ "$f" = "$b" ] || echo "netlab: warning: cc=$b is not allowed in a namespace here (tcp_allowed_congestion_control is host-wide); $n uses $f" >&2; done
  routes; }

certs() {
  local a; [ -s "$ST/leaf.pem" ] && return 0; command -v openssl >/dev/null || die "services need openssl"; ( cd "$ST"; exec 2>openssl.log
  printf '[ca]\ndefault_ca=c\n[c]\nnew_certs_dir=.\ndatabase=index.txt\nserial=serial\ndefault_md=sha256\npolicy=p\ncopy_extensions=copy\nx509_extensions=l\n[p]\ncommonName=supplied\n[l]\nbasicConstraints=CA:FALSE\n' >ca.cnf; : >index.txt; echo unique_subject=no >index.txt.attr; echo 01 >serial
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca.key -out ca.pem -days 3650 -subj "/CN=netlab CA"
  leaf() { openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$1.key" -out "$1.csr" -subj "/CN=$2" -addext "subjectAltName=$3"; openssl ca -batch -notext -config ca.cnf -cert ca.pem -keyfile ca.key -in "$1.csr" -out "$1.pem" -startdate "$4" -enddate "$5"; }
  # the expired one ended yesterday; the good one ends 30 days from now (days left = 29 or 30)
  leaf leaf target.lab "DNS:target.lab,DNS:*.lab,IP:$T4,IP:$T6" "$(date -u -d '-1 day' +%Y%m%d%H%M%SZ)" "$(date -u -d '+30 days' +%Y%m%d%H%M%SZ)"
  leaf expired target.lab "DNS:target.lab,IP:$T4" "$(date -u -d '-30 days' +%Y%m%d%H%M%SZ)" "$(date -u -d '-1 day' +%Y%m%d%H%M%SZ)"
  leaf wronghost other.example "DNS:other.example" "$(date -u -d '-1 day' +%Y%m%d%H%M%SZ)" "$(date -u -d '+30 days' +%Y%m%d%H%M%SZ)"
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout selfsigned.key -out selfsigned.pem -days 30 -subj "/CN=target.lab" -addext "subjectAltName=DNS:target.lab,IP:$T4"
  ); for a in ca leaf expired wronghost selfsigned; do [ -s "$ST/$a.pem" ] || { cat "$ST/openssl.log" >&2; die "certificate $a failed"; }; done; }
zone() { local l N o="\"target.lab\":{\"A\":[\"$T4\"],\"AAAA\":[\"$T6\"]},\"v4only.lab\":{\"A\":[\"$T4\"]},\"v6only.lab\":{\"AAAA\":[\"$T6\"]},\"multi.lab\":{\"A\":[\"$T4\",\"10.77.3.2\",\"10.77.5.2\"]},\"1.100.77.10.in-addr.arpa\":{\"PTR\":[\"target.lab\"]}"
  for l in "${LINKS[@]}"; do N=${LN[$l]}; local e h; for e in A B; do h=$(host "$l" $e); local nm; [ $e = A ] && nm=${LA[$l]} || nm=${LB[$l]}; nm=${nm%:*}; o+=",\"$h.$N.77.10.in-addr.arpa\":{\"PTR\":[\"$nm-$l.lab\"]},\"$nm-$l.lab\":{\"A\":[\"10.77.$N.$h\"],\"AAAA\":[\"fd77:$N::$h\"]}"; done; done; echo "{$o}"; }
services() {
  local node=${NETLAB_NODE:-$(command -v node || :)}; [ -n "$node" ] || { echo "netlab: no node in PATH, services not started (NETLAB_NODE=...)" >&2; return 0; }
  certs; rm -f "$ST/services.ready"
  ( exec 9>&-; NL_STATE=$ST NL_ADDR4=$T4 NL_ADDR6=$T6 NL_ZONE=$(zone) NL_CLOCK_OFFSET_MS=${S[net.clock-offset]} setsid ip netns exec "$(ns target)" "$node" "$ST/services.mjs" </dev/null >"$ST/services.log" 2>&1 & )
  local i; for i in {1..100}; do [ -s "$ST/services.ready" ] && break; sleep 0.05; done; [ -s "$ST/services.ready" ] || { cat "$ST/services.log" >&2; die "services did not start"; }
  remember services "$(cat "$ST/services.ready")"
  if command -v iperf3 >/dev/null; then ( exec 9>&-; setsid ip netns exec "$(ns target)" iperf3 -s -I "$ST/iperf.raw" </dev/null >"$ST/iperf.log" 2>&1 & ); for i in {1..40}; do [ -s "$ST/iperf.raw" ] && break; sleep 0.05; done
    [ -s "$ST/iperf.raw" ] && remember iperf "$(tr -d '\0' <"$ST/iperf.raw")"; fi; return 0; }

intact() { alive emu || return 1; local n; for n in "${NODES[@]}"; do [ -e "/run/netns/$(ns "$n")" ] || return 1; done; local l e; for l in "${LINKS[@]}"; do for e in "${LA[$l]}" "${LB[$l]}"; do ipn "${e%:*}" link show "${e#*:}" >/dev/null 2>&1 || return 1; done; done; }
teardown() {
  local n p; [ -d "$ST" ] && { stop iperf; stop services; stop emu; }
  for n in "${ALL_NODES[@]}" "${SITE_NODES[@]}"; do [ -e "/run/netns/$(ns "$n")" ] || continue
    for p in $(ip netns pids "$(ns "$n")" 2>/dev/null || :); do [ "$p" = $$ ] || kill -9 "$p" 2>/dev/null || :; done
    ip netns del "$(ns "$n")" 2>/dev/null || :; done
  # only a directory that carries our mark is removed
  [ -f "$ST/.netlab" ] && rm -rf -- "$ST"; return 0; }
add_node() {
  local n=$1; ip netns add "$(ns "$n")"; ipn "$n" link set lo up
  sysc "$n" net.ipv6.conf.all.disable_ipv6=0 net.ipv6.conf.default.accept_ra=0 net.ipv6.conf.default.accept_dad=0 net.ipv6.conf.default.dad_transmits=0 net.ipv6.conf.default.router_solicitations=0 net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0 net.ipv4.icmp_msgs_per_sec=100000 net.ipv4.icmp_msgs_burst=10000 net.ipv4.fib_multipath_hash_policy=1 net.ipv6.fib_multipath_hash_policy=1 net.ipv4.tcp_no_metrics_save=1
  [[ $n != [rx]* ]] || sysc "$n" net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1; }
start_emu() {
  local l e i specs=(); emu_conf 1; for l in "${LINKS[@]}"; do specs+=("$l:/run/netns/$(ns "${LA[$l]%:*}"):${LA[$l]#*:}:/run/netns/$(ns "${LB[$l]%:*}"):${LB[$l]#*:}"); done
  rm -f "$ST/emu.ready"; ( exec 9>&-; setsid "${NETLAB_EMU:-$ST/nlemu}" "$ST/emu.conf" "$ST/emu.stats" "$ST/emu.ready" "${specs[@]}" </dev/null >"$ST/emu.log" 2>&1 & )
  for i in {1..100}; do [ -s "$ST/emu.ready" ] && break; sleep 0.03; done; [ -s "$ST/emu.ready" ] || { cat "$ST/emu.log" >&2; die "emulator did not start"; }
  remember emu "$(cat "$ST/emu.ready")"
  for l in "${LINKS[@]}"; do for e in "${LA[$l]}" "${LB[$l]}"; do ipn "${e%:*}" link set "${e#*:}" address "$(mac "$e")" txqueuelen 10000; quiet "${e%:*}" "${e#*:}"; done; done; }
# Another number of hops: the emulator's ends move, so it starts anew; target, services and certificates stay.
rewire() {
  local n; stop emu; ipn r1 link del eth0 2>/dev/null || :
  for n in x1 x2 x3 x4 x5; do [ -e "/run/netns/$(ns $n)" ] && ip netns del "$(ns $n)"; done
  shape; for n in "${NODES[@]}"; do [[ $n != x* ]] || add_node "$n"; done; start_emu; apply_links; apply_net; }
up() {
  local svc=1 hops=3; while [ $# -gt 0 ]; do case $1 in --no-services) svc=0;; --hops) hops=${2:-}; shift;; *) die "up: unknown option $1";; esac; shift || :; done
  [[ $hops =~ ^[3-8]$ ]] || die "up: --hops 3..8"
  [ "$(id -u)" = 0 ] || die "needs root"
  command -v ip >/dev/null || die "needs iproute2"; [ -c /dev/net/tun ] || die "needs /dev/net/tun (CONFIG_TUN)"
  load_state
  if [ -f "$ST/.netlab" ] && intact; then local l was=${S[net.hops]}; for l in "${LINKS[@]}"; do defaults_link "$l"; done; defaults_net; S[net.hops]=$hops; save_state
    if [ "$was" = "$hops" ]; then apply_links; apply_net; else rewire; fi; emu_signal HUP
    [ $svc = 0 ] || alive services || services; echo "netlab $ID: already up, impairments cleared"; return; fi
  teardown; if [ -e "$ST" ] && [ -n "$(ls -A "$ST" 2>/dev/null)" ]; then die "$ST exists and is not a netlab state directory"; fi
  mkdir -p "$ST"; chmod 755 "$ST"; : >"$ST/.netlab"; trap 'echo "netlab: up failed, cleaning up" >&2; teardown' EXIT; trap 'exit 130' INT TERM
  write_sources
  if [ -z "${NETLAB_EMU:-}" ]; then local cc; cc=$(command -v cc || command -v gcc || command -v clang || :); [ -n "$cc" ] || die "needs a C compiler (apt-get install gcc libc6-dev) or NETLAB_EMU"; "$cc" -O2 -o "$ST/nlemu" "$ST/nlemu.c" -lm; fi
  load_state; S[net.hops]=$hops; shape; local n; for n in "${NODES[@]}"; do add_node "$n"; done
  start_emu; inns agent cat /proc/sys/net/ipv4/tcp_congestion_control >"$ST/cc0"
  ipn target addr add $T4/32 dev lo; ipn target -6 addr add $T6/128 dev lo nodad
  printf 'nameserver %s\noptions timeout:2 attempts:2\n' $T4 >"$ST/resolv.conf"
  apply_links; apply_net; save_state; [ $svc = 0 ] || services; emu_signal HUP; trap - EXIT INT TERM
  echo "netlab $ID: up (agent 10.77.1.2 -> target $T4 / $T6, target.lab); impairments none"; }

# Further offices and the edge hang on r1; r2, r3 and target answer them by their default routes.
site() { # node, its network, its host number in the management network
  local n=$1 N=$2 m=$3; [ ! -e "/run/netns/$(ns "$n")" ] || return 0; add_node "$n"
  ipn r1 link add "$n" type veth peer name eth0 netns "$(ns "$n")"; quiet r1 "$n"; quiet "$n" eth0
  ipn r1 link set "$n" up; ipn r1 addr add "10.77.$N.1/24" dev "$n"; ipn r1 -6 addr add "fd77:$N::1/64" dev "$n" nodad
  ipn "$n" link set eth0 up; ipn "$n" addr add "10.77.$N.2/24" dev eth0; ipn "$n" -6 addr add "fd77:$N::2/64" dev eth0 nodad
  ipn "$n" route add default via "10.77.$N.1"; ipn "$n" -6 route add default via "fd77:$N::1"; [ "$n" = edge ] || manage "$n" "$m"; }
manage() { # node, host number: joined to the bridge in edge
  local n=$1 m=$2; ipn edge link add "m-$n" type veth peer name mgmt0 netns "$(ns "$n")"; ipn edge link set "m-$n" master br0 up
  ipn "$n" link set mgmt0 up; ipn "$n" addr add "10.78.0.$m/24" dev mgmt0; }
sites() {
  local count=${1:-} k; [[ $count =~ ^[2-4]$ ]] || die "sites 2..4"; [ -f "$ST/.netlab" ] || die "lab $ID is not up"; load_state; intact || die "lab $ID is not up"
  if [ ! -e "/run/netns/$(ns edge)" ]; then site edge 30 1; ipn edge link add br0 type bridge; ipn edge link set br0 up; ipn edge addr add 10.78.0.1/24 dev br0; manage agent 11; fi
  for ((k = 2; k <= count; k++)); do site "o$k" $((20 + k)) $((10 + k)); done; echo "netlab $ID: $count offices"; }
set_link() {
  local l=$1 dirs="up down" a k v d; shift; for a; do [[ $a == dir=* ]] && case ${a#dir=} in both) ;; up|down) dirs=${a#dir=};; *) die "dir=both|up|down";; esac; done
  for a; do k=${a%%=*}; v=${a#*=}
    case $k in
      clear) defaults_link "$l"; continue;; dir) continue;;
      mtu) [[ $v =~ ^[0-9]+$ ]] && ((v >= 1280 && v <= 9000)) || die "mtu 1280..9000 (IPv6 needs 1280)"; S[$l.mtu]=$v; continue;;
      mtu-silent) [[ $v =~ ^[0-9]+$ ]] || die "mtu-silent=BYTES|0"; S[$l.mtu-silent]=$v; continue;;
      state) [[ $v == up || $v == down ]] || die "state=up|down"; S[$l.state]=$v; continue;; esac
    for d in $dirs; do case $k in
      delay) S[$l.$d.delay]=$(us "$v");; jitter) S[$l.$d.jitter]=$(us "$v");; dist) [[ $v == uniform || $v == normal ]] || die "dist=uniform|normal"; S[$l.$d.dist]=$v;;
      loss) S[$l.$d.loss]=$(pc "$v");; loss-nth) [[ $v =~ ^[0-9]+$ ]] || die "loss-nth=N"; S[$l.$d.nth]=$v;;
      loss-burst) if [ "$v" = 0 ]; then S[$l.$d.gep]=0; S[$l.$d.ger]=0; else [[ $v == *,* ]] || die "loss-burst=P%,R%"; S[$l.$d.gep]=$(pc "${v%,*}"); S[$l.$d.ger]=$(pc "${v#*,}"); fi;;
      dup|reorder|corrupt) S[$l.$d.$k]=$(pc "$v");; keep-order) [[ $v == [01] ]] || die "keep-order=0|1"; S[$l.$d.keep]=$v;;
      rate) if [ "$v" = 0 ]; then S[$l.$d.rate]=0; else S[$l.$d.rate]=$(bps "$v"); S[$l.$d.limit]=$(awk -v r="${S[$l.$d.rate]}" 'BEGIN{b=r*0.05/8; printf "%d", b<6056?6056:b}'); fi;;
      queue) [ "${S[$l.$d.rate]}" != 0 ] || die "give rate= before queue="; if [[ $v == *ms ]]; then S[$l.$d.limit]=$(awk -v r="${S[$l.$d.rate]}" -v u="$(us "$v")" 'BEGIN{printf "%d", r*u/8e6}'); else S[$l.$d.limit]=$(bytes "$v"); fi;;
      ecn-mark) if [[ $v == *% ]]; then S[$l.$d.ecnpct]=$(pc "$v"); else S[$l.$d.ecnth]=$(bytes "$v"); fi;;
      seed) [[ $v =~ ^[0-9]+$ ]] || die "seed=N"; S[$l.$d.seed]=$v;;
      *) die "unknown link key '$k'";; esac; done; done; }
set_net() {
  local a k v; for a; do k=${a%%=*}; v=${a#*=}; [ "$a" = clear ] && { defaults_net; continue; }
    case $k in
      icmp-blackhole) [[ $v == on || $v == off ]] || die "on|off";; silent) [[ $v =~ ^(none|(r[123]|x[1-5])(,(r[123]|x[1-5]))*)$ ]] || die "silent=r1,r2|none";; ecmp) [[ $v =~ ^(off|on|both)$ ]] || die "ecmp=off|on|both";;
      dscp|dscp-down) [[ $v == keep || ( $v =~ ^[0-9]+$ && $v -le 63 ) ]] || die "$k=keep|0..63";; ecn) [[ $v =~ ^(keep|clear|drop-syn)$ ]] || die "ecn=keep|clear|drop-syn";;
      filter) [[ $v =~ ^(none|icmp|udp|high-udp|tcp-syn-[0-9]+)$ ]] || die "bad filter";; icmp-ratelimit) [[ $v =~ ^[0-9]+$ ]] || die "ms";; ping-group) [[ $v == open || $v == closed ]] || die "open|closed";;
      clock-offset) [[ $v =~ ^-?[0-9]+(\.[0-9]+)?$ ]] || die "ms";; cc) [[ $v =~ ^[a-z]+$ ]] || die "cc";; hops) [[ $v =~ ^[3-8]$ ]] || die "hops=3..8";; route) [[ $v == r2 || $v == r3 ]] || die "route=r2|r3";; *) die "unknown net key '$k'";; esac
    S[net.$k]=$v; [ "$k" != clock-offset ] || RESTART=1; done; }
set_scope() { # one scope and its settings
  local scope=$1 l; shift; [ $# -gt 0 ] || die "set SCOPE key=value ..."
  case $scope in l[1-5]) set_link "$scope" "$@";; all) [ "$*" = clear ] || die "set all clear"; for l in "${LINKS[@]}"; do defaults_link "$l"; done; defaults_net;; net) set_net "$@";; *) die "scope is l1..l5, net or all";; esac
  [ "$scope" = net ] || [ "$scope" = all ] && NET=1 || :; }
do_set() {
  [ -f "$ST/.netlab" ] || die "lab $ID is not up"; load_state; intact || die "lab $ID is not up"; RESTART=0 NET=0; [ $# -gt 0 ] || die "set SCOPE key=value ..."
  local a was=${S[net.hops]} group=(); for a; do if [[ $a =~ ^(l[1-5]|net|all)$ ]] && [ ${#group[@]} -gt 0 ]; then set_scope "${group[@]}"; group=(); fi; group+=("$a"); done; set_scope "${group[@]}"
  save_state; if [ "$was" != "${S[net.hops]}" ]; then rewire; else apply_links; [ $NET = 0 ] || apply_net; fi
  if [ $RESTART = 1 ] && alive services; then stop services; stop iperf; services; fi; return 0; }
preset() {
  [ -f "$ST/.netlab" ] || die "lab $ID is not up"; load_state; intact || die "lab $ID is not up"; RESTART=0
  local l was=${S[net.hops]}; for l in "${LINKS[@]}"; do defaults_link "$l"; done; defaults_net; S[net.hops]=$was   # a preset keeps the shape
  case ${1:-} in
    clean) ;; lan) set_link l1 delay=200us; set_link l2 delay=300us;;
    dsl) set_link l1 delay=1ms; set_link l2 delay=8ms; set_link l2 dir=down rate=50mbit queue=60ms; set_link l2 dir=up rate=10mbit queue=60ms; set_link l2 mtu=1492;;
    lte) set_link l1 delay=1ms; set_link l2 delay=25ms jitter=8ms dist=normal loss=0.2%; set_link l2 dir=down rate=30mbit queue=150ms; set_link l2 dir=up rate=10mbit queue=150ms;;
    sat) set_link l2 delay=280ms loss=0.5%; set_link l2 dir=down rate=20mbit queue=300ms; set_link l2 dir=up rate=3mbit queue=300ms;;
    wifi) set_link l1 delay=2ms jitter=2ms dist=normal loss-burst=0.5%,50%; set_link l2 delay=8ms;;
    lossy) set_link l1 delay=5ms; set_link l2 delay=15ms loss=2%;;
    bloat) set_link l2 delay=10ms rate=20mbit queue=500ms;;
    pmtu) set_link l1 delay=2ms; set_link l2 delay=5ms mtu=1400;;
    pmtu-blackhole) set_link l1 delay=2ms; set_link l2 delay=5ms mtu=1400; set_net icmp-blackhole=on;;
    ecmp) set_link l1 delay=1ms; set_link l2 delay=5ms; set_link l4 delay=15ms; set_net ecmp=on;;
    *) die "presets: clean lan dsl lte sat wifi lossy bloat pmtu pmtu-blackhole ecmp";; esac
  save_state; apply_links; apply_net; emu_signal HUP; echo "netlab $ID: preset $1"; }

truth() {
  [ -f "$ST/.netlab" ] || die "lab $ID is not up"; load_state; local l d k
  { for k in "${!S[@]}"; do echo "$k=${S[$k]}"; done; } | awk -F= -v t4=$T4 -v t6=$T6 '
  {v[$1]=$2}
  function path(nm,a,b,c, e,up,dn,j,lu,ld,m,i,n,P){ n=split(a" "b" "c,P," "); up=dn=0; lu=ld=1; m=99999; j=0; for(i=1;i<=n;i++){ e=P[i]; if(e=="-")continue
      up+=v[e".up.delay"]; dn+=v[D[i]".down.delay"]; j+=v[e".up.jitter"]+v[D[i]".down.jitter"]; lu*=1-L(e".up"); ld*=1-L(D[i]".down"); if(v[e".mtu"]<m)m=v[e".mtu"]; if(v[e".mtu-silent"]>0&&v[e".mtu-silent"]<m)m=v[e".mtu-silent"] }
      return sprintf("\"%s\":{\"rtt_ms\":%.3f,\"oneway_up_ms\":%.3f,\"oneway_down_ms\":%.3f,\"jitter_sum_ms\":%.3f,\"loss_up_pct\":%.4f,\"loss_down_pct\":%.4f,\"loss_roundtrip_pct\":%.4f,\"pmtu\":%d,\"rate_up_bps\":%d,\"rate_down_bps\":%d}",nm,(up+dn)/1e3,up/1e3,dn/1e3,j/1e3,(1-lu)*100,(1-ld)*100,(1-lu*ld)*100,m,R(P,n,"up"),R(D,3,"down")) }
  function L(p, g){ g=v[p".gep"]+0>0 ? v[p".gep"]/(v[p".gep"]+v[p".ger"]) : 0; return 1-(1-v[p".loss"]/100)*(1-g)*(v[p".nth"]>0?1-1/v[p".nth"]:1) }
  function R(P,n,d, i,r){ r=0; for(i=1;i<=n;i++) if(v[P[i]"."d".rate"]>0&&(r==0||v[P[i]"."d".rate"]<r)) r=v[P[i]"."d".rate"]; return r }
  function hops(pre,mid,t, i,o,w){ o="[[\"" pre ":1" mid "1\"]"; for(i=1;i<=v["net.hops"]-3;i++) o=o ",[\"" pre ":" (10+i) mid "2\"]"
      w=v["net.route"]=="r2"?2:4; o=o ",[\"" pre ":" (v["net.ecmp"]=="off"?w:2) mid "2\"" (v["net.ecmp"]=="off"?"":",\"" pre ":4" mid "2\"") "],[\"" t "\"]]"; if(pre=="10.77") gsub(/10\.77:/,"10.77.",o); return o }
  function ttls(list, P,n,i,k,o){ n=split(list,P,","); k=v["net.hops"]-3; o=""; for(i=1;i<=n;i++){ if(P[i]=="none")continue; o=o (o==""?"":",") (substr(P[i],1,1)=="x"?substr(P[i],2):P[i]=="r1"?k+1:k+2) } return "[" o "]" }
  END{ D[1]="l1"; one=v["net.ecmp"]=="off"; far=one&&v["net.route"]=="r3"; D[2]=far?"l4":"l2"; D[3]=far?"l5":"l3"
    printf "{\"target4\":\"%s\",\"target6\":\"%s\",\"hops4\":%s,\"hops6\":%s,\"silent_ttls\":%s,",t4,t6,hops("10.77",".",t4),hops("fd77","::",t6),ttls(v["net.silent"])
    printf "\"silent\":\"%s\",\"icmp_blackhole\":%s,\"dscp_at_target\":\"%s\",\"paths\":{%s%s},",v["net.silent"],v["net.icmp-blackhole"]=="on"?"true":"false",v["net.dscp"],path("A","l1",D[2],D[3]),v["net.ecmp"]=="off"?"":","path("B","l1","l4","l5")
    printf "\"note\":\"configured values; rtt_ms excludes the emulator floor (measure it once with no impairment) and queueing; path B returns over l3,l2,l1\"}\n" }'; }
status() {
  if ! [ -f "$ST/.netlab" ]; then echo "netlab $ID: down"; return 1; fi; load_state
  if ! intact; then echo "netlab $ID: DAMAGED (emulator or namespaces missing); run up or down"; return 1; fi
  alive emu; echo "netlab $ID: up; emulator pid $PID; services $(alive services && echo "pid $PID" || echo off); iperf3 $(alive iperf && echo "pid $PID" || echo off); state $ST"
  local l d k o; for l in "${LINKS[@]}"; do o="  $l ${LA[$l]} - ${LB[$l]} mtu=${S[$l.mtu]} ${S[$l.state]}"; [ "${S[$l.mtu-silent]}" = 0 ] || o+=" mtu-silent=${S[$l.mtu-silent]}"
    for d in up down; do o+=" | $d"; for k in "${LKEYS[@]}"; do [ "${S[$l.$d.$k]}" = "${LDEF[$k]}" ] || o+=" $k=${S[$l.$d.$k]}"; done; done; echo "$o"; done
  o="  net"; for k in "${!NDEF[@]}"; do [ "${S[net.$k]}" = "${NDEF[$k]}" ] || o+=" $k=${S[net.$k]}"; done; echo "$o"
  local e x=0 t; for l in "${LINKS[@]}"; do for e in "${LA[$l]}" "${LB[$l]}"; do t=$(ipn "${e%:*}" -s link show "${e#*:}" | awk '/TX:/{getline; print $4}'); x=$((x + t)); done; done; echo "  tap overruns (loss the emulator did not choose; must be 0): $x"; }
do_exec() {
  local un=0; [ "${1:-}" = --unpriv ] && { un=1; shift; }; local n=${1:-}; shift || :; [ "${1:-}" = -- ] && shift; [ $# -gt 0 ] || die "exec [--unpriv] NODE CMD..."
  [[ " ${NODES[*]} ${SITE_NODES[*]} " == *" $n "* ]] || die "node is one of ${NODES[*]}, after 'sites' ${SITE_NODES[*]}"; [ -e "/run/netns/$(ns "$n")" ] || die "lab $ID is not up"
  local pre=(); if [ $un = 1 ]; then local t p; mkdir -p "$ST/nocap"; for t in ping fping mtr-packet traceroute; do p=$(command -v $t || :); [ -z "$p" ] || [ -e "$ST/nocap/$t" ] || cp --no-preserve=all "$(readlink -f "$p")" "$ST/nocap/$t" && chmod 755 "$ST/nocap/$t" 2>/dev/null || :; done; export PATH="$ST/nocap:$PATH"
    pre=(setpriv --reuid=65534 --regid=65534 --clear-groups --no-new-privs --inh-caps=-all --bounding-set=-net_raw,-net_admin); fi
  exec ip netns exec "$(ns "$n")" sh -c 'r=$1; shift; t=$(readlink -f /etc/resolv.conf 2>/dev/null || echo /etc/resolv.conf); [ -e "$t" ] && mount --bind "$r" "$t" 2>/dev/null; exec "$@"' sh "$ST/resolv.conf" "${pre[@]}" "$@"; }
show_env() { printf 'NETLAB_ID=%s\nNETLAB_AGENT4=10.77.1.2\nNETLAB_AGENT6=fd77:1::2\nNETLAB_TARGET4=%s\nNETLAB_TARGET6=%s\nNETLAB_TARGET=target.lab\nNETLAB_CA=%s/ca.pem\nNETLAB_HTTP=80\nNETLAB_HTTPS=443\nNETLAB_HTTPS_EXPIRED=8443\nNETLAB_HTTPS_WRONGHOST=9443\nNETLAB_HTTPS_TLS12=10443\nNETLAB_HTTPS_SELFSIGNED=11443\nNETLAB_TCP_ECHO=7\nNETLAB_UDP_ECHO=7\nNETLAB_STAMP=862\nNETLAB_DNS=53\nNETLAB_IPERF3=5201\n' "$ID" $T4 $T6 "$ST"; }
write_sources() {
cat >"$ST/nlemu.c" <<'NLEMU_C'
// nlemu - user-space link emulator for netlab.sh (used because this kernel has no sch_netem).
// One link = two TAP devices, one in each of two network namespaces; every frame read from one
// side is queued with the configured impairments and written to the other side.
// usage: nlemu CONF STATS READY name:nsA:ifA:nsB:ifB [...]
//   nsA/nsB are paths (/run/netns/x).  direction 0 = A->B ("up"), 1 = B->A ("down").
// SIGUSR1: re-read CONF, then write STATS.  SIGUSR2: write STATS.  SIGTERM: exit.
// Ground truth: every decision is counted per direction and per protocol in STATS (JSON).
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <math.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#define MAXL 8
#define MAXF 9300
#define HB 200            /* histogram: 200 buckets of 10 us */
enum { P_ICMP, P_UDP, P_TCP, P_OTHER, P_N };
static const char *pname[P_N] = {"icmp", "udp", "tcp", "other"};

typedef struct {
  double delay, jitter, loss, ge_p, ge_r, dup, reorder, corrupt, rate, limit, ecn_thresh, ecn_pct;
  int dist, keep, nth;              /* dist 0 uniform, 1 normal */
  unsigned long seed;
} cfg_t;

typedef struct {
  cfg_t c;
  uint64_t s[2];                    /* rng state */
  int bad;                          /* Gilbert-Elliott state */
  unsigned long cnt_nth;
  int64_t busy, last_due;
  /* counters */
  uint64_t in[P_N], lost[P_N], tail[P_N], out[P_N], in_bytes, out_bytes;
  uint64_t dup, reord, corrupt, ce, passthru, maxq;
  uint64_t h[HB + 1], hn; double hsum, hmax;
} dir_t;

typedef struct { char name[16], ns[2][128], ifn[2][16]; int fd[2]; dir_t d[2]; } link_t_;
typedef struct { int64_t due, in; uint64_t seq; int li, di, len, proto, counted; unsigned char *b; } pkt_t;
/* one packet's fate on one link; a, b: ports, or ICMP id and seq (of the quoted packet in an error) */
typedef struct { int64_t in, out; unsigned char src[16], dst[16]; uint32_t tseq; uint16_t a, b, len; uint8_t li, di, fam, proto, fate, flags, ttl; } ev_t;
#define MAXEV 150000

static link_t_ L[MAXL]; static int nl;
static pkt_t *heap; static size_t hn, hcap; static uint64_t seqno;
static const char *conf_path, *stats_path; static long gen;
static ev_t ev[MAXEV]; static size_t ne, ev_over;   /* over: not recorded for want of room */

static int64_t now(void) { struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); return (int64_t)t.tv_sec * 1000000000LL + t.tv_nsec; }
static void die(const char *m) { perror(m); exit(1); }

static uint64_t rnd64(dir_t *d) { /* xorshift128+ */
  uint64_t a = d->s[0], b = d->s[1]; d->s[0] = b; a ^= a << 23; d->s[1] = a ^ b ^ (a >> 17) ^ (b >> 26); return d->s[1] + b; }
static double rnd(dir_t *d) { return (rnd64(d) >> 11) * (1.0 / 9007199254740992.0); }
static void seed(dir_t *d, uint64_t x) { for (int i = 0; i < 2; i++) { x += 0x9e3779b97f4a7c15ULL; uint64_t z = x; z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL; z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL; d->s[i] = z ^ (z >> 31); } d->bad = 0; d->cnt_nth = 0; }

static int less(const pkt_t *a, const pkt_t *b) { return a->due < b->due || (a->due == b->due && a->seq < b->seq); }
static void push(pkt_t p) {
  if (hn == hcap) { hcap = hcap ? hcap * 2 : 4096; heap = realloc(heap, hcap * sizeof *heap); if (!heap) die("realloc"); }
  size_t i = hn++; while (i) { size_t q = (i - 1) / 2; if (!less(&p, &heap[q])) break; heap[i] = heap[q]; i = q; } heap[i] = p; }
static pkt_t pop(void) {
  pkt_t r = heap[0], p = heap[--hn]; size_t i = 0;
  for (;;) { size_t c = 2 * i + 1; if (c >= hn) break; if (c + 1 < hn && less(&heap[c + 1], &heap[c])) c++; if (!less(&heap[c], &p)) break; heap[i] = heap[c]; i = c; }
  if (hn) heap[i] = p;
  return r; }

/* -1: not to be impaired (ARP, link-local, multicast: neighbour discovery etc.) */
static int classify(const unsigned char *b, int n) {
  if (n < 34) return -1;
  int et = b[12] << 8 | b[13];
  int pr;
  if (et == 0x0800) { if ((b[30] & 0xf0) == 0xe0) return -1; pr = b[23]; }
  else if (et == 0x86dd) { if (n < 54) return -1; if (b[38] == 0xff || (b[38] == 0xfe && (b[39] & 0xc0) == 0x80) || (b[22] == 0xfe && (b[23] & 0xc0) == 0x80)) return -1; pr = b[20]; if (pr == 44 && n >= 62) pr = b[54]; }
  else return -1;
  return pr == 1 || pr == 58 ? P_ICMP : pr == 17 ? P_UDP : pr == 6 ? P_TCP : P_OTHER;
}
static uint16_t be16(const unsigned char *p) { return (uint16_t)(p[0] << 8 | p[1]); }
static void ports(ev_t *e, int pr, const unsigned char *p, const unsigned char *end) { /* p: transport header, perhaps a quoted one */
  if (p + 8 > end) return;
  if (pr == 6 || pr == 17) { e->a = be16(p); e->b = be16(p + 2); }
  else if ((pr == 1 || pr == 58) && (p[0] == 0 || p[0] == 8 || p[0] == 128 || p[0] == 129)) { e->a = be16(p + 4); e->b = be16(p + 6); } }
static void note(int li, int di, const unsigned char *b, int n, int64_t in, int64_t out, char fate) {
  if (ne == MAXEV) { ev_over++; return; }
  ev_t *e = &ev[ne++]; memset(e, 0, sizeof *e); const unsigned char *end = b + n, *p = b + 14, *q; int pr, six = be16(b + 12) == 0x86dd;
  e->in = in; e->out = out; e->li = li; e->di = di; e->fate = fate; e->fam = six ? 6 : 4;
  if (six) { memcpy(e->src, p + 8, 16); memcpy(e->dst, p + 24, 16); e->ttl = p[7]; e->len = be16(p + 4) + 40; pr = p[6]; q = p + 40; }
  else { memcpy(e->src, p + 12, 4); memcpy(e->dst, p + 16, 4); e->ttl = p[8]; e->len = be16(p + 2); pr = p[9]; q = p + (p[0] & 15) * 4; if (be16(p + 6) & 0x1fff) pr = 255; }
  e->proto = pr; if (q + 8 > end) return;
  if (pr == 6 && q + 14 <= end) { e->flags = q[13]; e->tseq = (uint32_t)be16(q + 4) << 16 | be16(q + 6); }
  if (pr == 1 || pr == 58) { e->flags = q[0];
    if (pr == 1 && (q[0] == 3 || q[0] == 11) && q + 36 <= end) { ports(e, q[17], q + 8 + (q[8] & 15) * 4, end); return; }
    if (pr == 58 && q[0] < 128 && q + 56 <= end) { ports(e, q[14], q + 48, end); return; } }
  ports(e, pr, q, end); }
static int set_ce(unsigned char *b) {
  int et = b[12] << 8 | b[13];
  if (et == 0x0800) {
    int e = b[15] & 3; if (e == 0 || e == 3) return 0;
    b[15] |= 3; b[24] = b[25] = 0; uint32_t s = 0; int hl = (b[14] & 15) * 4;
    for (int i = 0; i < hl; i += 2) s += b[14 + i] << 8 | b[15 + i];
    while (s >> 16) s = (s & 0xffff) + (s >> 16);
    s = ~s & 0xffff; b[24] = s >> 8; b[25] = s; return 1; }
  if (et == 0x86dd) { int e = (b[15] >> 4) & 3; if (e == 0 || e == 3) return 0; b[15] |= 0x30; return 1; }
  return 0;
}
static double jit(dir_t *d) {
  if (d->c.jitter <= 0) return 0;
  if (d->c.dist == 1) { double u = rnd(d), v = rnd(d); if (u < 1e-12) u = 1e-12; return d->c.jitter * sqrt(-2 * log(u)) * cos(2 * M_PI * v); }
  return d->c.jitter * (2 * rnd(d) - 1);
}
static void enqueue(int li, int di, unsigned char *b, int n, int64_t t) {
  dir_t *d = &L[li].d[di]; cfg_t *c = &d->c; int pr = classify(b, n);
  if (pr < 0) { d->passthru++; ssize_t r = write(L[li].fd[!di], b, n); (void)r; return; }
  d->in[pr]++; d->in_bytes += n;
  /* 1 loss */
  int lose = 0;
  if (c->ge_p > 0) { if (d->bad) { if (rnd(d) < c->ge_r / 100) d->bad = 0; } else if (rnd(d) < c->ge_p / 100) d->bad = 1; if (d->bad) lose = 1; }
  if (c->loss > 0 && rnd(d) < c->loss / 100) lose = 1;
  if (c->nth > 0 && ++d->cnt_nth % c->nth == 0) lose = 1;
  if (lose) { d->lost[pr]++; note(li, di, b, n, t, 0, 'l'); return; }
  int copies = 1; if (c->dup > 0 && rnd(d) < c->dup / 100) { copies = 2; d->dup++; }
  for (int k = 0; k < copies; k++) {
    unsigned char *q = malloc(n); if (!q) die("malloc"); memcpy(q, b, n);
    /* 2 bottleneck: FIFO with a byte limit, drop-tail, optional CE marking above a threshold */
    int64_t dep = t;
    if (c->rate > 0) {
      double back = d->busy > t ? (d->busy - t) * c->rate / 8e9 : 0;
      if (back > d->maxq) d->maxq = back;
      if (back + n > c->limit) { d->tail[pr]++; note(li, di, b, n, t, 0, 't'); free(q); continue; }
      if (c->ecn_thresh > 0 && back > c->ecn_thresh && set_ce(q)) d->ce++;
      dep = (d->busy > t ? d->busy : t) + (int64_t)(n * 8e9 / c->rate); d->busy = dep;
    }
    if (c->ecn_pct > 0 && rnd(d) < c->ecn_pct / 100 && set_ce(q)) d->ce++;
    /* 3 propagation delay + jitter, 4 reordering (skips the delay, as netem does) */
    double dl = c->delay + jit(d); if (dl < 0) dl = 0;
    int64_t due = dep + (int64_t)dl;
    if (c->reorder > 0 && rnd(d) < c->reorder / 100) { due = dep; d->reord++; }
    else if (c->keep) { if (due < d->last_due) due = d->last_due; d->last_due = due; }
    if (c->corrupt > 0 && rnd(d) < c->corrupt / 100) { int o = 34 + rnd64(d) % (n > 35 ? n - 34 : 1); if (o < n) q[o] ^= 1 << (rnd64(d) & 7); d->corrupt++; }
    if (due <= t && c->delay <= 0 && c->rate <= 0) { /* fast path: nothing to wait for */
      ssize_t r = write(L[li].fd[!di], q, n); (void)r; d->out[pr]++; d->out_bytes += n; note(li, di, b, n, t, now(), 'o'); free(q); continue; }
    pkt_t p = {due, t, seqno++, li, di, n, pr, 1, q}; push(p);
  }
}
static void flush_due(void) {
  while (hn) {
    int64_t t = now(); if (heap[0].due > t) break;
    pkt_t p = pop(); dir_t *d = &L[p.li].d[p.di];
    ssize_t r = write(L[p.li].fd[!p.di], p.b, p.len); (void)r;
    d->out[p.proto]++; d->out_bytes += p.len; note(p.li, p.di, p.b, p.len, p.in, now(), 'o');
    double e = (t - p.due) / 1e3; int b = (int)(e / 10); d->h[b < HB ? b : HB]++; d->hn++; d->hsum += e; if (e > d->hmax) d->hmax = e;
    free(p.b);
  }
}
static void load(void) {
  FILE *f = fopen(conf_path, "r"); if (!f) return; char ln[1024];
  while (fgets(ln, sizeof ln, f)) {
    char name[16], dist[16]; int di; cfg_t c = {0};
    if (sscanf(ln, "gen %ld", &gen) == 1) continue;
    if (sscanf(ln, "dir %15s %d delay=%lf jitter=%lf dist=%15s loss=%lf nth=%d gep=%lf ger=%lf dup=%lf reorder=%lf corrupt=%lf rate=%lf limit=%lf ecnth=%lf ecnpct=%lf keep=%d seed=%lu",
        name, &di, &c.delay, &c.jitter, dist, &c.loss, &c.nth, &c.ge_p, &c.ge_r, &c.dup, &c.reorder, &c.corrupt, &c.rate, &c.limit, &c.ecn_thresh, &c.ecn_pct, &c.keep, &c.seed) != 18) continue;
    c.delay *= 1e3; c.jitter *= 1e3; c.dist = !strcmp(dist, "normal");
    for (int i = 0; i < nl; i++) if (!strcmp(L[i].name, name) && (di == 0 || di == 1)) {
      dir_t *d = &L[i].d[di]; if (memcmp(&c, &d->c, sizeof c)) { d->c = c; seed(d, c.seed * 1000 + i * 2 + di); d->busy = 0; d->last_due = 0; } }
  }
  fclose(f);
}
static double pct(dir_t *d, double q) { uint64_t k = (uint64_t)(d->hn * q), a = 0; for (int i = 0; i <= HB; i++) { a += d->h[i]; if (a > k) return (i + 1) * 10; } return 0; }
static void dump(void) {
  char tmp[512]; snprintf(tmp, sizeof tmp, "%s.tmp", stats_path); FILE *f = fopen(tmp, "w"); if (!f) return;
  fprintf(f, "{\"gen\":%ld,\"queued\":%zu,\"links\":{", gen, hn);
  for (int i = 0; i < nl; i++) {
    fprintf(f, "%s\"%s\":{", i ? "," : "", L[i].name);
    for (int k = 0; k < 2; k++) {
      dir_t *d = &L[i].d[k]; fprintf(f, "%s\"%s\":{", k ? "," : "", k ? "down" : "up");
      for (int p = 0; p < P_N; p++) fprintf(f, "\"%s\":{\"in\":%lu,\"lost\":%lu,\"taildrop\":%lu,\"out\":%lu},", pname[p], d->in[p], d->lost[p], d->tail[p], d->out[p]);
      fprintf(f, "\"in_bytes\":%lu,\"out_bytes\":%lu,\"dup\":%lu,\"reordered\":%lu,\"corrupted\":%lu,\"ce_marked\":%lu,\"unimpaired\":%lu,\"max_queue_bytes\":%lu,\"late_us\":{\"n\":%lu,\"mean\":%.1f,\"p50\":%.0f,\"p99\":%.0f,\"max\":%.0f}}",
        d->in_bytes, d->out_bytes, d->dup, d->reord, d->corrupt, d->ce, d->passthru, d->maxq, d->hn, d->hn ? d->hsum / d->hn : 0, pct(d, .5), pct(d, .99), d->hmax);
    }
    fprintf(f, "}");
  }
  fprintf(f, "}}\n"); fclose(f); rename(tmp, stats_path);
}
static void dump_trace(void) {
  char path[512], tmp[520], a[INET6_ADDRSTRLEN], b[INET6_ADDRSTRLEN]; snprintf(path, sizeof path, "%s", stats_path);
  char *dot = strrchr(path, '.'); if (dot) snprintf(dot, sizeof path - (dot - path), ".trace");
  snprintf(tmp, sizeof tmp, "%s.tmp", path); FILE *f = fopen(tmp, "w"); if (!f) return;
  for (size_t i = 0; i < ne; i++) { ev_t *e = &ev[i]; int af = e->fam == 6 ? AF_INET6 : AF_INET;
    const char *pn = e->proto == 1 || e->proto == 58 ? "icmp" : e->proto == 17 ? "udp" : e->proto == 6 ? "tcp" : "other";
    fprintf(f, "[%.1f,%.1f,\"%s\",\"%s\",%d,\"%s\",\"%c\",%d,%d,%d,%d,%d,\"%s\",\"%s\",%u]\n", e->in / 1e3, e->out / 1e3, L[e->li].name, e->di ? "down" : "up", e->fam, pn,
      e->fate, e->flags, e->ttl, e->len, e->a, e->b, inet_ntop(af, e->src, a, sizeof a), inet_ntop(af, e->dst, b, sizeof b), e->tseq); }
  fprintf(f, "{\"recorded\":%zu,\"not_recorded\":%zu}\n", ne, ev_over); fclose(f); rename(tmp, path); }
static void zero(void) { ne = ev_over = 0; for (int i = 0; i < nl; i++) for (int k = 0; k < 2; k++) { dir_t *d = &L[i].d[k]; memset(d->in, 0, (char *)(&d->hmax + 1) - (char *)d->in); } }

int main(int argc, char **argv) {
  if (argc < 5) { fprintf(stderr, "usage: nlemu CONF STATS READY name:nsA:ifA:nsB:ifB ...\n"); return 2; }
  conf_path = argv[1]; stats_path = argv[2];
  int self = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC); if (self < 0) die("self ns");
  for (int a = 4; a < argc && nl < MAXL; a++) {
    link_t_ *l = &L[nl];
    if (sscanf(argv[a], "%15[^:]:%127[^:]:%15[^:]:%127[^:]:%15s", l->name, l->ns[0], l->ifn[0], l->ns[1], l->ifn[1]) != 5) { fprintf(stderr, "bad link %s\n", argv[a]); return 2; }
    for (int k = 0; k < 2; k++) {
      int n = open(l->ns[k], O_RDONLY | O_CLOEXEC); if (n < 0) die(l->ns[k]);
      if (setns(n, CLONE_NEWNET)) die("setns");
      close(n);
      int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC); if (fd < 0) die("/dev/net/tun");
      struct ifreq r; memset(&r, 0, sizeof r); strncpy(r.ifr_name, l->ifn[k], IFNAMSIZ - 1); r.ifr_flags = IFF_TAP | IFF_NO_PI;
      if (ioctl(fd, TUNSETIFF, &r)) die("TUNSETIFF");
      l->fd[k] = fd;
      if (setns(self, CLONE_NEWNET)) die("setns back");
    }
    nl++;
  }
  prctl(PR_SET_TIMERSLACK, 1); mlockall(MCL_CURRENT | MCL_FUTURE);
  struct sched_param sp = {.sched_priority = 10}; if (!getenv("NLEMU_NORT")) sched_setscheduler(0, SCHED_FIFO, &sp);
  /* busy-wait the last part of a delay (timer wake-ups in a VM are ~100 us late), only while few packets wait */
  int64_t spin0 = (getenv("NLEMU_SPIN_US") ? atol(getenv("NLEMU_SPIN_US")) : 150) * 1000LL;
  load(); for (int i = 0; i < nl; i++) for (int k = 0; k < 2; k++) if (!L[i].d[k].s[0]) seed(&L[i].d[k], 1 + i * 2 + k);
  sigset_t m; sigemptyset(&m); sigaddset(&m, SIGUSR1); sigaddset(&m, SIGUSR2); sigaddset(&m, SIGTERM); sigaddset(&m, SIGINT); sigaddset(&m, SIGHUP); sigaddset(&m, SIGRTMIN);
  sigprocmask(SIG_BLOCK, &m, 0); int sfd = signalfd(-1, &m, SFD_NONBLOCK | SFD_CLOEXEC);
  dump(); FILE *rf = fopen(argv[3], "w"); if (rf) { fprintf(rf, "%d\n", getpid()); fclose(rf); }
  struct pollfd pf[2 * MAXL + 1]; static unsigned char buf[MAXF];
  for (int i = 0; i < nl; i++) for (int k = 0; k < 2; k++) { pf[i * 2 + k].fd = L[i].fd[k]; pf[i * 2 + k].events = POLLIN; }
  int np = nl * 2; pf[np].fd = sfd; pf[np].events = POLLIN;
  for (;;) {
    flush_due(); struct timespec ts, *tp = 0;
    if (hn) { int64_t spin = hn <= 8 ? spin0 : 0, w = heap[0].due - now() - spin; if (w < 0) w = 0; ts.tv_sec = w / 1000000000LL; ts.tv_nsec = w % 1000000000LL; tp = &ts; }
    int r = ppoll(pf, np + 1, tp, 0); if (r < 0 && errno != EINTR) die("ppoll");
    if (r > 0) for (int i = 0; i < np; i++) if (pf[i].revents & POLLIN) for (int b = 0; b < 64; b++) {
      ssize_t n = read(pf[i].fd, buf, sizeof buf); if (n <= 0) break; enqueue(i / 2, i & 1, buf, (int)n, now()); }
    if (r > 0 && pf[np].revents & POLLIN) { struct signalfd_siginfo si; while (read(sfd, &si, sizeof si) == sizeof si) {
      if (si.ssi_signo == SIGUSR1) { load(); dump(); } else if (si.ssi_signo == SIGUSR2) dump(); else if (si.ssi_signo == SIGHUP) { zero(); dump(); } else if ((int)si.ssi_signo == SIGRTMIN) dump_trace(); else { dump(); return 0; } } }
  }
}
NLEMU_C
cat >"$ST/services.mjs" <<'SERVICES_MJS'
// netlab target services (Node >= 20, no dependencies). Every behaviour is a known ground truth.
// env: NL_STATE (dir with pem files), NL_ADDR4, NL_ADDR6, NL_ZONE (json {name:{A:[],AAAA:[]}}), NL_CLOCK_OFFSET_MS
import http from 'node:http';
import https from 'node:https';
import net from 'node:net';
import dgram from 'node:dgram';
import zlib from 'node:zlib';
import fs from 'node:fs';
import crypto from 'node:crypto';

const S = process.env.NL_STATE, A4 = process.env.NL_ADDR4, A6 = process.env.NL_ADDR6;
const zone = JSON.parse(process.env.NL_ZONE || '{}');
const log = (...a) => console.log(new Date().toISOString(), ...a);
const cnt = { http: 0, dns: 0, udp: 0, stamp: 0, tcp: 0, up_bytes: 0 };
const rnd = crypto.randomBytes(1 << 20);
const sleep = (ms) => new Promise((r) => setTimeout(r, ms));

async function web(req, res) {
  cnt.http++;
  const u = new URL(req.url, 'http://x');
  const [, cmd, arg] = u.pathname.split('/');
  const n = Number(arg ?? u.searchParams.get('bytes') ?? 0) || 0;
  const send = (b, h = {}) => { res.writeHead(200, { 'content-type': 'text/plain', 'content-length': b.length, ...h }); res.end(b); };
  res.on('error', () => {});
  if (req.method === 'POST' || req.method === 'PUT') {          // upload sink: answers the byte count and the server-side time
    let got = 0; const t0 = process.hrtime.bigint();
    req.on('data', (c) => { got += c.length; });
    req.on('end', () => { cnt.up_bytes += got; send(Buffer.from(JSON.stringify({ bytes: got, ms: Number(process.hrtime.bigint() - t0) / 1e6 }))); });
    return;
  }
  switch (cmd) {
    case '': return send(Buffer.from('<!doctype html><title>netlab</title><p>ok</p>\n'), { 'content-type': 'text/html' });
    case 'delay': await sleep(n); return send(Buffer.from(`delay ${n}\n`));                       // TTFB = rtt + n
    case 'body-delay': res.writeHead(200, { 'content-length': 2 }); res.write('a'); await sleep(n); return res.end('b'); // TTFB ~ rtt, download = n
    case 'down': case '__down': case 'bytes': {                                                   // incompressible
      res.writeHead(200, { 'content-type': 'application/octet-stream', 'content-length': n, 'cache-control': 'no-store' });
      let left = n;
      const go = () => { while (left > 0) { const k = Math.min(left, 65536); left -= k; if (!res.write(rnd.subarray(0, k))) { res.once('drain', go); return; } } res.end(); };
      return go();
    }
    case 'gzip': case 'br': case 'deflate': {                                                     // n bytes of text, compressed when asked for
      const raw = Buffer.alloc(n || 20000, 'the quick brown fox jumps over the lazy dog. ');
      const ok = (req.headers['accept-encoding'] || '').includes(cmd);
      const z = cmd === 'gzip' ? zlib.gzipSync(raw) : cmd === 'br' ? zlib.brotliCompressSync(raw) : zlib.deflateSync(raw);
      return ok ? send(z, { 'content-encoding': cmd, 'x-raw-length': raw.length }) : send(raw);
    }
    case 'status': res.writeHead(n || 200, { 'content-length': 0 }); return res.end();
    case 'redirect': res.writeHead(302, { location: n > 1 ? `/redirect/${n - 1}` : '/', 'content-length': 0 }); return res.end();
    case 'close': return send(Buffer.from('bye\n'), { connection: 'close' });
    case 'reset': return req.socket.destroy();
    case 'hang': return;
    case 'short': res.writeHead(200, { 'content-length': 1000 }); res.write('only this'); await sleep(50); return req.socket.destroy();
    case 'headers': return send(Buffer.from(JSON.stringify({ h: req.headers, remote: req.socket.remoteAddress, http: req.httpVersion })));
    case 'cache': if (req.headers['if-none-match'] === '"nl"') { res.writeHead(304, { etag: '"nl"' }); return res.end(); } return send(Buffer.from('cache\n'), { etag: '"nl"', 'cache-control': 'max-age=60' });
    case 'stats': return send(Buffer.from(JSON.stringify(cnt)));
    default: res.writeHead(404, { 'content-length': 0 }); return res.end();
  }
}
const pem = (f) => fs.readFileSync(`${S}/${f}`);
const listen = (srv, port, name) => { srv.on('error', (e) => log(name, e.code, e.message)); srv.on('clientError', (e, s) => s.destroy()); srv.listen({ port, host: '::' }); };
listen(http.createServer({ keepAliveTimeout: 5000 }, web), 80, 'http');
for (const [port, name, opt] of [[443, 'leaf', {}], [8443, 'expired', {}], [9443, 'wronghost', {}], [10443, 'leaf', { maxVersion: 'TLSv1.2' }], [11443, 'selfsigned', {}]])
  listen(https.createServer({ key: pem(`${name}.key`), cert: pem(`${name}.pem`), keepAliveTimeout: 5000, ALPNProtocols: ['http/1.1'], ...opt }, web), port, `https-${name}`);
// TCP echo 7, TCP accept-and-silent 9 (discard)
listen(net.createServer((s) => { cnt.tcp++; s.on('error', () => {}); s.pipe(s); }), 7, 'tcp-echo');
listen(net.createServer((s) => { cnt.tcp++; s.on('error', () => {}); s.resume(); }), 9, 'tcp-discard');
// UDP echo 7
{
  const u = dgram.createSocket({ type: 'udp6', ipv6Only: false, recvBufferSize: 4 << 20 });
  u.on('message', (m, r) => { cnt.udp++; u.send(m, r.port, r.address); }); u.on('error', (e) => log('udp', e.code)); u.bind(7, '::');
}
// STAMP reflector (RFC 8762 unauthenticated, 44 octets) 862; its clock can be offset to prove that a one-way figure is honest
{
  const off = BigInt(Math.round(Number(process.env.NL_CLOCK_OFFSET_MS || 0) * 1e6));
  const ntp = () => { const ns = BigInt(Math.round((performance.timeOrigin + performance.now()) * 1e6)) + off; const s = ns / 1000000000n + 2208988800n; return (s << 32n) | (((ns % 1000000000n) << 32n) / 1000000000n); };
  let seq = 0;
  const u = dgram.createSocket({ type: 'udp6', ipv6Only: false, recvBufferSize: 4 << 20 });
  u.on('message', (m, r) => {
    const t2 = ntp(); if (m.length < 44) return; cnt.stamp++;
    const o = Buffer.alloc(m.length); o.writeUInt32BE(seq++ >>> 0, 0); o.writeUInt16BE(0x0001, 12); o.writeBigUInt64BE(t2, 16);
    m.copy(o, 24, 0, 14); o.writeBigUInt64BE(ntp(), 4); u.send(o, r.port, r.address);
  });
  u.on('error', (e) => log('stamp', e.code)); u.bind(862, '::');
}
// DNS 53 udp+tcp: authoritative for NL_ZONE plus behaviours by name
function answer(q, tcp) {
  cnt.dns++;
  if (q.length < 17) return null;
  let o = 12; const lab = []; while (q[o]) { lab.push(q.toString('latin1', o + 1, o + 1 + q[o])); o += q[o] + 1; if (o > q.length) return null; }
  const qend = o + 5, type = q.readUInt16BE(o + 1), name = lab.join('.').toLowerCase();
  const T = { A: 1, NS: 2, CNAME: 5, SOA: 6, PTR: 12, MX: 15, TXT: 16, AAAA: 28 };
  const enc = (s) => Buffer.concat([...s.split('.').filter(Boolean).map((l) => Buffer.concat([Buffer.from([l.length]), Buffer.from(l)])), Buffer.from([0])]);
  const ip6 = (a) => { const [h, t = ''] = a.split('::'); const l = h ? h.split(':') : [], r = t ? t.split(':') : []; const p = a.includes('::') ? [...l, ...Array(8 - l.length - r.length).fill('0'), ...r] : l; return Buffer.from(p.map((x) => x.padStart(4, '0')).join(''), 'hex'); };
  const rr = (t, data, nm = Buffer.from([0xc0, 12]), ttl = 300) => { const h = Buffer.alloc(10); h.writeUInt16BE(t, 0); h.writeUInt16BE(1, 2); h.writeUInt32BE(ttl, 4); h.writeUInt16BE(data.length, 8); return Buffer.concat([nm, h, data]); };
  let rcode = 0, an = [], delay = 0, tc = 0, m;
  const recs = (n, nm) => { const z = zone[n]; if (!z) return null; const r = []; if (type === 1 || type === 255) for (const a of z.A || []) r.push(rr(1, Buffer.from(a.split('.').map(Number)), nm)); if (type === 28 || type === 255) for (const a of z.AAAA || []) r.push(rr(28, ip6(a), nm)); if (type === 12) for (const p of z.PTR || []) r.push(rr(12, enc(p), nm)); return r; };
  if (name === 'servfail.lab') rcode = 2; else if (name === 'refused.lab') rcode = 5; else if (name === 'timeout.lab') return { none: true };
  else if ((m = /^slow(\d+)\.lab$/.exec(name))) { delay = Number(m[1]); an = recs('target.lab'); }
  else if (name === 'cname.lab') { const c = enc('target.lab'); an = [rr(5, c), ...(recs('target.lab', c) || [])]; }
  else if (name === 'rotate.lab') an = type === 1 ? [rr(1, Buffer.from([10, 77, 200, 1 + (cnt.dns % 4)]))] : [];
  else if (name === 'big.lab') { if (type === 16) { an = Array.from({ length: 12 }, (_, i) => { const t = Buffer.alloc(200, 97 + i); return rr(16, Buffer.concat([Buffer.from([200]), t])); }); if (!tcp) { an = []; tc = 1; } } }
  else if ((an = recs(name)) === null) { an = []; rcode = 3; }
  const h = Buffer.alloc(12); q.copy(h, 0, 0, 2); h[2] = 0x84 | (q[2] & 1) | (tc << 1); h[3] = 0x80 | rcode; h.writeUInt16BE(1, 4); h.writeUInt16BE(an.length, 6);
  const opt = q.readUInt16BE(10) > 0 ? Buffer.from([0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0]) : Buffer.alloc(0); if (opt.length) h.writeUInt16BE(1, 10);
  return { buf: Buffer.concat([h, q.subarray(12, qend), ...an, opt]), delay };
}
{
  const u = dgram.createSocket({ type: 'udp6', ipv6Only: false });
  u.on('message', async (q, r) => { try { const a = answer(q, false); if (!a || a.none) return; if (a.delay) await sleep(a.delay); u.send(a.buf, r.port, r.address); } catch (e) { log('dns', e.message); } });
  u.on('error', (e) => log('dns', e.code)); u.bind(53, '::');
  listen(net.createServer((s) => { let b = Buffer.alloc(0); s.on('error', () => {}); s.on('data', async (d) => { b = Buffer.concat([b, d]); while (b.length >= 2 && b.length >= 2 + b.readUInt16BE(0)) { const n = b.readUInt16BE(0); const a = answer(b.subarray(2, 2 + n), true); b = b.subarray(2 + n); if (!a || a.none) return; if (a.delay) await sleep(a.delay); const l = Buffer.alloc(2); l.writeUInt16BE(a.buf.length); s.write(Buffer.concat([l, a.buf])); } }); }), 53, 'dns-tcp');
}
process.on('SIGTERM', () => process.exit(0));
process.on('uncaughtException', (e) => log('uncaught', e.stack));
fs.writeFileSync(`${S}/services.ready`, String(process.pid));
log('ready');
SERVICES_MJS
}
lock() { mkdir -p "$(dirname "$ST")"; exec 9>"$ST.lock"; flock -w 60 9 || die "another netlab command holds $ST.lock"; }
cmd=${1:-help}; shift || :
case $cmd in
  up) lock; up "$@";; down) lock; teardown; rm -f "$ST.lock"; echo "netlab $ID: down";; set) lock; do_set "$@";; sites) lock; sites "$@";; preset) lock; preset "$@";;
  exec) do_exec "$@";; status) status;; truth) truth;; env) show_env;;
  counters) [ -f "$ST/.netlab" ] || die "lab $ID is not up"; lock; if [ "${1:-}" = --reset ]; then emu_signal HUP; else emu_signal USR2; fi; cat "$ST/emu.stats";;
  trace) [ -f "$ST/.netlab" ] || die "lab $ID is not up"; lock; emu_signal RTMIN emu.trace; cat "$ST/emu.trace";;
  help|-h|--help) sed -n '2,/^set -euo/p' "$0" | sed '$d; s/^# \{0,1\}//';; *) die "unknown command '$cmd' (try help)";;
esac
