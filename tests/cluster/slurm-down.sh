#!/usr/bin/env bash
# Stops what slurm-up.sh started, by its process ids, and removes its configuration.
set -euo pipefail

state=/run/pig-slurm
for file in "$state/slurmd.pid" "$state/slurmctld.pid" /run/munge/munged.pid; do
    [ -f "$file" ] || continue
    process=$(cat "$file")
    kill "$process" || continue
    for _ in $(seq 100); do kill -0 "$process" 2> /dev/null || break; sleep 0.1; done
done
if grep -qxF "# Written by the tests of PIG." /etc/slurm/slurm.conf 2> /dev/null; then
    rm -f /etc/slurm/{slurm,gres,cgroup}.conf
fi
