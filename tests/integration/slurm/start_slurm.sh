#!/usr/bin/env bash
# A real SLURM on one machine, for the tests: controller, nodes n1 to n4 with one GPU each (as far as
# SLURM knows), munge, accounting. Debian's packages; no systemd, no cgroups. Needs root. One GPU, so
# that what happens to a node hits one training.
#
#   start_slurm.sh install   the packages, by apt-get
#   start_slurm.sh missing   what keeps this machine from running it; nothing if all is well
#   start_slurm.sh start     idempotent; SLURM's programs find the cluster without further settings
#   start_slurm.sh stop      what this script started (by process id), and its state
#
# SLURM_ROOT (default $TMPDIR/robustvit-slurm) holds everything but links in /etc/slurm; every user has
# to be able to reach it, since the database does not run as root.
set -euo pipefail

root=${SLURM_ROOT:-${TMPDIR:-/tmp}/robustvit-slurm}
etc=$root/etc
host=$(hostname -s)
nodes=(n1 n2 n3 n4)
first_port=17002
packages=(slurm-wlm slurmd slurmctld slurm-client slurmdbd munge mariadb-server)
export SLURM_CONF=$etc/slurm.conf

alive() { # a live process, not a zombie that pid 1 has not reaped yet
    local process
    process=$(cat "$1" 2>/dev/null) && kill -0 "$process" 2>/dev/null &&
        ! grep -q '^State:.Z' "/proc/$process/status" 2>/dev/null
}

wait_for() { # $1: quarters of a second; the rest: a command
    local n=$1
    shift
    for _ in $(seq "$n"); do
        "$@" >/dev/null 2>&1 && return 0
        sleep 0.25
    done
    echo "waited too long for: $*" >&2
    tail -n 5 "$root"/log/*.log >&2 || true
    return 1
}

missing() {
    [ "$(id -u)" = 0 ] || echo "not root"
    local program
    for program in slurmctld slurmd slurmdbd sbatch munged mariadbd; do
        command -v "$program" >/dev/null || [ -x "/usr/sbin/$program" ] ||
            echo "$program is not installed (apt-get install ${packages[*]})"
    done
    if [ -e /etc/slurm/slurm.conf ] && [ "$(readlink /etc/slurm/slurm.conf)" != "$etc/slurm.conf" ] &&
        [ -e "$(readlink -f /etc/slurm/slurm.conf)" ]; then
        echo "/etc/slurm/slurm.conf belongs to another SLURM"
    fi
}

write_configuration() {
    mkdir -p "$etc" "$root"/{run,log,state,spool,gpu,mysql} /etc/slurm
    [ -c "$root/gpu/gpu0" ] || mknod "$root/gpu/gpu0" c 1 3 # slurmd wants a device: a /dev/null
    cat >"$etc/slurm.conf" <<C
ClusterName=one
SlurmctldHost=$host(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
CryptoType=crypto/munge
SlurmctldPort=17001
StateSaveLocation=$root/state
SlurmdSpoolDir=$root/spool/%n
SlurmctldPidFile=$root/run/slurmctld.pid
SlurmdPidFile=$root/run/slurmd-%n.pid
SlurmctldLogFile=$root/log/slurmctld.log
SlurmdLogFile=$root/log/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
GresTypes=gpu
ReturnToService=2
SlurmdParameters=config_overrides
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=5
SchedulerParameters=batch_sched_delay=0,sched_interval=2,bf_interval=2
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
KillWait=5
MailProg=/bin/true
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort=17019
AccountingStorageTRES=gres/gpu
AccountingStorageEnforce=associations
AccountingStoreFlags=job_comment
$(i=0 && for node in "${nodes[@]}"; do
        echo "NodeName=$node NodeHostname=$host NodeAddr=127.0.0.1 Port=$((first_port + i))" \
            "CPUs=2 RealMemory=8000 Gres=gpu:1 State=UNKNOWN"
        i=$((i + 1))
    done)
PartitionName=cpu Nodes=ALL MaxTime=2:00:00 DefMemPerCPU=500 State=UP Default=YES
PartitionName=gpu Nodes=ALL MaxTime=2:00:00 DefMemPerCPU=500 State=UP
PartitionName=urgent Nodes=ALL MaxTime=2:00:00 DefMemPerCPU=500 State=UP PriorityTier=10 PreemptMode=OFF
C
    echo "Name=gpu File=$root/gpu/gpu0" >"$etc/gres.conf"
    cat >"$etc/slurmdbd.conf" <<C
AuthType=auth/munge
DbdHost=localhost
DbdAddr=127.0.0.1
DbdPort=17019
SlurmUser=root
LogFile=$root/log/slurmdbd.log
PidFile=$root/run/slurmdbd.pid
StorageType=accounting_storage/mysql
StorageHost=localhost
StorageUser=slurm
StoragePass=slurm
StorageLoc=slurm_acct_db
C
    chmod 600 "$etc/slurmdbd.conf"
    local name
    for name in slurm gres slurmdbd; do ln -sfn "$etc/$name.conf" "/etc/slurm/$name.conf"; done
}

start_munge() { # on the default socket: slurmdbd and sacct take no other
    munge -n 2>/dev/null | unmunge >/dev/null 2>&1 && return 0
    [ -s "$etc/munge.key" ] || dd if=/dev/urandom of="$etc/munge.key" bs=1 count=1024 status=none
    chmod 400 "$etc/munge.key"
    mkdir -p /run/munge
    chown root:root /run/munge
    chmod 755 /run/munge
    chmod 700 "$etc" # munged wants its key in a folder that nobody else writes
    munged --force --key-file="$etc/munge.key" --pid-file="$root/run/munged.pid" \
        --log-file="$root/log/munged.log" --seed-file="$root/run/munged.seed"
    chmod 755 "$etc"
    wait_for 40 bash -c 'munge -n | unmunge'
}

start_database() {
    if ! alive "$root/run/mysqld.pid"; then
        chown -R mysql:mysql "$root/mysql"
        chmod 777 "$root" "$root/run"
        [ -d "$root/mysql/mysql" ] || mariadb-install-db --user=mysql --datadir="$root/mysql" \
            --skip-test-db >"$root/log/mysql_install.log" 2>&1
        mkdir -p /run/mysqld
        chown mysql /run/mysqld
        # slurmdbd reaches "localhost" by the default socket only.
        local socket=/run/mysqld/mysqld.sock
        setsid mariadbd --no-defaults --user=mysql --datadir="$root/mysql" --socket="$socket" \
            --skip-networking --pid-file="$root/run/mysqld.pid" --innodb-buffer-pool-size=128M \
            --innodb-lock-wait-timeout=900 >"$root/log/mysqld.log" 2>&1 </dev/null &
        wait_for 240 mariadb -S "$socket" -e 'select 1'
        mariadb -S "$socket" -e "create database if not exists slurm_acct_db;
            create user if not exists slurm@localhost identified by 'slurm';
            grant all on slurm_acct_db.* to slurm@localhost"
    fi
    alive "$root/run/slurmdbd.pid" || slurmdbd
    wait_for 240 sacctmgr -n list cluster
    sacctmgr -i add cluster one >/dev/null 2>&1 || true
    sacctmgr -i add account lab Description=lab Organization=lab >/dev/null 2>&1 || true
    sacctmgr -i add user root Account=lab >/dev/null 2>&1 || true
}

all_idle() { [ "$(sinfo -h -N -p cpu -t idle,mix,alloc -o %N | wc -l)" -ge ${#nodes[@]} ]; }

start() {
    trap 'tail -n 20 "$root"/log/*.log >&2' ERR
    alive "$root/run/slurmctld.pid" || write_configuration
    start_munge
    start_database
    alive "$root/run/slurmctld.pid" || slurmctld -f "$etc/slurm.conf"
    local node
    for node in "${nodes[@]}"; do
        alive "$root/run/slurmd-$node.pid" || {
            mkdir -p "$root/spool/$node"
            slurmd -N "$node" -f "$etc/slurm.conf"
        }
    done
    wait_for 240 all_idle
}

stop() {
    local name file
    for name in slurmd-n{1,2,3,4} slurmctld slurmdbd mysqld munged; do
        file=$root/run/$name.pid
        alive "$file" || continue
        kill "$(cat "$file")" || true
        for _ in $(seq 60); do
            alive "$file" || break
            sleep 0.25
        done
        alive "$file" && kill -9 "$(cat "$file")" || true
    done
    for name in slurm gres slurmdbd; do
        [ "$(readlink "/etc/slurm/$name.conf")" != "$etc/$name.conf" ] || rm "/etc/slurm/$name.conf"
    done
    rm -rf "$root"
}

case "${1:-}" in
    install)
        apt-get update -q
        DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends "${packages[@]}"
        ;;
    missing) missing ;;
    start) start ;;
    stop) stop ;;
    *)
        echo "usage: start_slurm.sh install|missing|start|stop" >&2
        exit 2
        ;;
esac
