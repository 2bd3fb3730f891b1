#!/usr/bin/env bash
# A Slurm of one node from Debian's packages (slurmctld slurmd slurm-client munge): no systemd, no cgroups, no accounting.
#
#   tests/cluster/slurm-up.sh [GPUS]     GPUs are pretended with devices that every host has; default 0
#   tests/cluster/slurm-down.sh
#
# Needs root. It writes /etc/slurm/*.conf, because Slurm's job steps find their configuration nowhere else, and refuses
# where somebody else's configuration stands. The node claims 4 processors and 20 GB, whatever the host has.
set -euo pipefail

gpus=${1:-0}
state=/run/pig-slurm
host=$(hostname -s)
mark="# Written by the tests of PIG."

if [ -s /etc/slurm/slurm.conf ] && ! grep -qxF "$mark" /etc/slurm/slurm.conf; then
    echo "/etc/slurm/slurm.conf is of a Slurm in use; it is left alone." >&2
    exit 3
fi

"$(dirname "${BASH_SOURCE[0]}")/slurm-down.sh" 2> /dev/null # one that an interrupted test left behind
rm -rf "$state"
mkdir -p "$state"/{controller,daemon,log} /etc/slurm
install -d -o munge -g munge -m 755 /run/munge
install -d -o munge -g munge -m 700 /var/log/munge /var/lib/munge
if [ ! -s /etc/munge/munge.key ]; then
    (umask 077 && head -c 1024 /dev/urandom > /etc/munge/munge.key)
    chown munge: /etc/munge/munge.key
fi

cat > /etc/slurm/slurm.conf << CONF
$mark
ClusterName=pig
SlurmctldHost=$host(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
SlurmctldPidFile=$state/slurmctld.pid
SlurmdPidFile=$state/slurmd.pid
SlurmctldLogFile=$state/log/slurmctld.log
SlurmdLogFile=$state/log/slurmd.log
StateSaveLocation=$state/controller
SlurmdSpoolDir=$state/daemon
SlurmdParameters=config_overrides
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
ReturnToService=2
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerParameters=batch_sched_delay=0,sched_interval=2,bf_interval=2
MinJobAge=3600
KillWait=20
DefMemPerCPU=500
$([ "$gpus" -gt 0 ] && echo GresTypes=gpu)
NodeName=$host NodeAddr=127.0.0.1 CPUs=4 RealMemory=20000 $([ "$gpus" -gt 0 ] && echo "Gres=gpu:$gpus") State=UNKNOWN
PartitionName=main Nodes=$host Default=YES MaxTime=1-00:00:00 State=UP
CONF

# Slurm drops a GPU without a device file, and drains the node.
devices=(/dev/null /dev/zero /dev/full /dev/random)
for ((i = 0; i < gpus; i++)); do
    echo "NodeName=$host Name=gpu File=${devices[i]}"
done > /etc/slurm/gres.conf
: > /etc/slurm/cgroup.conf

setsid runuser -u munge -- munged --foreground > "$state/log/munged.out" 2>&1 < /dev/null &
for _ in $(seq 50); do munge -n 2> /dev/null | unmunge > /dev/null 2>&1 && break; sleep 0.1; done
setsid slurmctld -D > "$state/log/slurmctld.out" 2>&1 < /dev/null &
setsid slurmd -D -N "$host" > "$state/log/slurmd.out" 2>&1 < /dev/null &
for _ in $(seq 200); do
    [ "$(sinfo -h -o %T -p main 2> /dev/null)" = idle ] && exit 0
    sleep 0.1
done
echo "Slurm did not come up:" >&2
tail "$state"/log/*.out >&2
exit 1
