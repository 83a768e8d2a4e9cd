#!/usr/bin/env bash
# selftest.sh - proves that netlab.sh does what it says (run as root; ~75 s). Uses its own lab id (st + pid), so several may run at once.
set -uo pipefail
cd "$(dirname "$0")"; export NETLAB_ID=${NETLAB_ID:-st$(($$ % 10000))} LC_ALL=C; N=./netlab.sh; T=10.77.100.1; T6=fd77:100::1; F=0; P=0
ok() { P=$((P + 1)); echo "ok   $1"; }; bad() { F=$((F + 1)); echo "FAIL $1: $2"; }
is() { if [ "$2" = "$3" ]; then ok "$1"; else bad "$1" "want [$3] got [$2]"; fi; }
near() { if awk -v a="$2" -v b="$3" -v t="$4" 'BEGIN{d=a-b; if(d<0)d=-d; exit !(a!="" && d<=t)}'; then ok "$1 ($2 ~ $3 +-$4)"; else bad "$1" "$2 not within $4 of $3"; fi; }
A="$N exec agent"; ping_med() { $A ping -n -c 41 -i 0.02 "$@" $T | sed -n 's/.*time=\([0-9.]*\).*/\1/p' | sort -n | sed -n 21p; }
H0=$(ip -o link | md5sum; ip route | md5sum; ip netns list | grep -v "^nl-" | md5sum; nft list ruleset 2>/dev/null | md5sum; mount | grep -v "/nl-" | md5sum)
trap '$N down >/dev/null' EXIT
$N up >/dev/null || { echo "up failed"; exit 1; }
floor=$(ping_med); near "floor rtt ms" "$floor" 0.25 0.35
$N set l1 delay=2ms; $N set l2 delay=10ms; near "delay rtt" "$(ping_med)" "$(awk -v f="$floor" 'BEGIN{print 24+f}')" 0.25
$N set l2 dir=up delay=30ms; near "asymmetric delay" "$(ping_med)" "$(awk -v f="$floor" 'BEGIN{print 44+f}')" 0.25
$N set all clear; $N set l2 loss-nth=10 dir=up; is "loss every 10th is exact" "$($A ping -n -q -c 100 -i 0.002 $T | sed -n 's/.* \([0-9]*\) received.*/\1/p')" 90
$N set all clear; $N counters --reset >/dev/null; $N set l2 loss=5%; r=$($A ping -n -q -c 400 -i 0.002 $T | sed -n 's/.* \([0-9]*\) received.*/\1/p')
l=$($N counters | python3 -c 'import json,sys; c=json.load(sys.stdin)["links"]["l2"]; print(c["up"]["icmp"]["lost"]+c["down"]["icmp"]["lost"])' 2>/dev/null || echo "?"); is "lost(up)+lost(down) = 400 - received" "$l" "$((400 - r))"
a=$($A ping -n -c 60 -i 0.002 $T | grep -o 'icmp_seq=[0-9]*' | md5sum); $N set l2 seed=2; $N set l2 seed=1; b=$($A ping -n -c 60 -i 0.002 $T | grep -o 'icmp_seq=[0-9]*' | md5sum); $N set l2 seed=2;  $N set l2 seed=1; c=$($A ping -n -c 60 -i 0.002 $T | grep -o 'icmp_seq=[0-9]*' | md5sum); is "same seed, same losses" "$b" "$c"
$N set all clear; $N set l2 delay=20ms jitter=5ms; s=$($A ping -n -q -c 300 -i 0.02 $T | tail -1 | sed 's/.*= //; s/ ms//' | tr / ' '); set -- $s; near "jitter: mdev of the sum of two uniform +-5 = 4.08" "$4" 4.08 0.6; near "jitter: mean unchanged" "$2" "$(awk -v f="$floor" 'BEGIN{print 40+f}')" 1
$N set all clear; $N set l2 mtu=1400; is "tracepath v4 pmtu" "$($A tracepath -n $T | sed -n 's/.*Resume: pmtu \([0-9]*\).*/\1/p')" 1400; is "tracepath v6 pmtu" "$($A tracepath -6 -n $T6 | sed -n 's/.*Resume: pmtu \([0-9]*\).*/\1/p')" 1400
$N set net icmp-blackhole=on; is "blackhole: 1400 passes" "$($A ping -n -M do -s 1372 -c 1 -W 1 $T | grep -c 'bytes from')" 1; is "blackhole: 1401 vanishes without a message" "$($A ping -n -M do -s 1373 -c 1 -W 1 $T 2>&1 | grep -cE 'bytes from|too long|Frag')" 0
$N set all clear; $N set l2 mtu-silent=1450; is "mtu-silent: 1451 vanishes" "$($A ping -n -M do -s 1423 -c 1 -W 1 $T 2>&1 | grep -cE 'bytes from|too long|Frag')" 0; is "mtu-silent: 1450 passes" "$($A ping -n -M do -s 1422 -c 1 -W 1 $T | grep -c 'bytes from')" 1
$N set all clear; is "hops" "$($A traceroute -n -q 1 $T | awk 'NR>1{print $2}' | paste -sd,)" "10.77.1.1,10.77.2.2,$T"; is "hops v6" "$($A traceroute -6 -n -q 1 $T6 | awk 'NR>1{print $2}' | paste -sd,)" "fd77:1::1,fd77:2::2,$T6"
$N set net silent=r2; is "silent hop" "$($A traceroute -n -q 1 -w 1 $T | awk 'NR>1{print $2}' | paste -sd,)" "10.77.1.1,*,$T"
$N set net clear; $N set net ecmp=on; is "ecmp: both next hops seen" "$($A traceroute -n -q 8 -m 2 $T | sed -n 3p | grep -oE '10\.77\.[24]\.2' | sort -u | paste -sd,)" "10.77.2.2,10.77.4.2"
$N set net clear; $N set net filter=icmp; is "filter icmp" "$($A ping -n -q -c 2 -i 0.1 -W 1 $T | grep -c '100% packet loss')" 1; $N set net filter=tcp-syn-80; $A curl -s -m 1 -o /dev/null http://$T/; is "filter tcp-syn-80 times out" $? 28; $N set net clear
$N set net hops=6; is "hops=6: traceroute" "$($A traceroute -n -q 1 $T | awk 'NR>1{print $2}' | paste -sd,)" "10.77.1.1,10.77.11.2,10.77.12.2,10.77.13.2,10.77.2.2,$T"; is "hops=6: truth, v6" "$($N truth | python3 -c 'import json,sys; print(",".join(h[0] for h in json.load(sys.stdin)["hops6"]))')" "$($A traceroute -6 -n -q 1 $T6 | awk 'NR>1{print $2}' | paste -sd,)"
$N set net silent=x2; is "silent extra router" "$($A traceroute -n -q 1 -w 1 $T | awk 'NR==3{print $2}')" "*"; is "silent_ttls" "$($N truth | python3 -c 'import json,sys; print(json.load(sys.stdin)["silent_ttls"])')" "[2]"
$N set all clear; is "clear: 3 hops again" "$($A traceroute -n -q 1 $T | awk 'END{print $1}')" 3; $N set net route=r3; is "route=r3" "$($A traceroute -n -q 1 $T | awk 'NR==3{print $2}')" 10.77.4.2; is "route=r3, v6" "$($A traceroute -6 -n -q 1 $T6 | awk 'NR==3{print $2}')" fd77:4::2
$N set all clear l1 delay=1ms l2 delay=2ms net route=r3; is "several scopes at once" "$($N truth | python3 -c 'import json,sys; print(json.load(sys.stdin)["paths"]["A"]["rtt_ms"])')" 2.0; $N set all clear l2 rate=10mbit queue=64kb; is "queue in kb" "$(sed -n 's/^dir l2 0 .*limit=\([0-9]*\) .*/\1/p' "/run/netlab-$NETLAB_ID/emu.conf")" 65536
$N set all clear l2 dir=up loss-nth=2; $N counters --reset >/dev/null; $A ping -n -q -c 10 -i 0.01 -W 1 $T >/dev/null; is "trace: 5 of 10 requests lost" "$($N trace | grep -c '"l2","up",4,"icmp","l",8,')" 5; is "trace: 5 replies arrived" "$($N trace | grep -c '"l1","down",4,"icmp","o",0,')" 5; $N set all clear
is "closed port is refused" "$($A curl -s -m 1 -o /dev/null http://$T:81/; echo $?)" 7
if command -v tcpdump >/dev/null; then
  cap() { ($N exec target timeout 4 tcpdump -l -nvi eth0 -c 1 "$1" 2>/dev/null) & sleep 1; shift; "$@" >/dev/null 2>&1; wait; }
  is "dscp kept" "$(cap 'icmp[0]=8' $A ping -n -c 1 -Q 184 $T | grep -o 'tos 0x[0-9a-f]*')" "tos 0xb8"; $N set net dscp=0; is "dscp bleached" "$(cap 'icmp[0]=8' $A ping -n -c 1 -Q 184 $T | grep -o 'tos 0x[0-9a-f]*')" "tos 0x0"
  $N set net dscp=10; is "dscp rewritten to 10" "$(cap 'icmp[0]=8' $A ping -n -c 1 -Q 184 $T | grep -o 'tos 0x[0-9a-f]*')" "tos 0x28"; $N set net clear; $N set l2 ecn-mark=100%; is "ce mark" "$(cap 'icmp[0]=8' $A ping -n -c 1 -Q 2 $T | grep -o 'tos 0x[0-9a-f]*')" "tos 0x3"; $N set all clear
fi
$N set l2 rate=10mbit delay=5ms queue=100ms; if command -v iperf3 >/dev/null; then near "10 mbit bottleneck, goodput Mbit/s" "$($A iperf3 -c $T -t 4 -O 1 -J | python3 -c 'import json,sys; print(round(json.load(sys.stdin)["end"]["sum_received"]["bits_per_second"]/1e6,2))')" 9.56 0.25; fi
$N set all clear; $N set l2 delay=50ms reorder=30%; is "reordering happens" "$($A ping -n -c 100 -i 0.01 $T | grep -o 'icmp_seq=[0-9]*' | cut -d= -f2 | awk 'p&&$1<p{n++}{p=$1}END{print (n>5)}')" 1
$N set all clear; $N set l2 state=down; $A ping -n -c 1 -W 1 $T >/dev/null; is "link down" $? 1; $N set l2 state=up; $A ping -n -c 1 -W 1 $T >/dev/null; is "link up again v4" $? 0; $A ping -6 -n -c 1 -W 1 $T6 >/dev/null; is "link up again v6" $? 0
is "dns" "$($A getent ahostsv4 target.lab | awk 'NR==1{print $1}')" $T; is "http" "$($A curl -s -o /dev/null -w '%{http_code}' http://target.lab/status/503)" 503; CA=$($N env | sed -n 's/NETLAB_CA=//p')
is "tls good" "$($A curl -s --cacert $CA -o /dev/null -w '%{http_code}' https://target.lab/)" 200; $A curl -s --cacert $CA -o /dev/null https://target.lab:8443/; is "tls expired refused" $? 60; $A curl -s --cacert $CA -o /dev/null https://target.lab:9443/; is "tls wrong host refused" $? 60
is "ttfb = delay + rtt" "$($A curl -s -o /dev/null -w '%{time_starttransfer}' http://$T/delay/100 | awk '{print ($1>=0.1 && $1<0.115)}')" 1
$N set net ping-group=closed; $N exec --unpriv agent ping -n -c 1 -W 1 $T >/dev/null 2>&1; is "unprivileged ping refused when closed" $? 2; $N set net ping-group=open; $N exec --unpriv agent ping -n -c 1 -W 1 $T >/dev/null 2>&1; is "unprivileged ping works when open" $? 0
for x in "l9 delay=1ms" "l2 delay=fast" "l2 loss=200%" "l2 mtu=100" "net ecmp=maybe" "l2" "l2 nonsense=1" "l2 delay=1ms;reboot" "net hops=9" "net route=r1" "l1 delay=1ms l9 delay=1ms"; do $N set $x >/dev/null 2>&1; is "refused: set $x" $? 1; done
for p in clean lan dsl lte sat wifi lossy bloat pmtu pmtu-blackhole ecmp; do $N preset $p >/dev/null || bad "preset $p" "failed"; $N truth | python3 -c 'import json,sys; json.load(sys.stdin)' || bad "truth json for $p" ""; done; ok presets
$N up >/dev/null; is "up again keeps the lab and clears it" "$($N status | grep -c 'delay')" 0
is "overruns" "$($N status | sed -n 's/.*must be 0): //p')" 0
NETLAB_ID=${NETLAB_ID}b $N up --no-services >/dev/null; is "second lab at once" "$(NETLAB_ID=${NETLAB_ID}b $N exec agent ping -n -q -c 2 -i 0.1 $T | grep -c ' 0% packet loss')" 1; NETLAB_ID=${NETLAB_ID}b $N down >/dev/null; $N status >/dev/null; is "first lab unharmed" $? 0
kill -9 "$(cat "/run/netlab-$NETLAB_ID/emu.ready")"; sleep 0.3; $N status >/dev/null; is "damage is noticed" $? 1; $N up >/dev/null; is "up repairs" $? 0; $A ping -n -c 1 -W 1 $T >/dev/null; is "works after repair" $? 0
$N down >/dev/null; $N down >/dev/null; is "down twice" $? 0; trap - EXIT
is "host untouched" "$(ip -o link | md5sum; ip route | md5sum; ip netns list | grep -v "^nl-" | md5sum; nft list ruleset 2>/dev/null | md5sum; mount | grep -v "/nl-" | md5sum)" "$H0"
is "no state left" "$(ls -d /run/netlab-$NETLAB_ID* 2>/dev/null | wc -l)" 0; is "no namespace left" "$(ip netns list | grep -c "nl-$NETLAB_ID")" 0
echo "passed $P failed $F"; exit $((F > 0))
