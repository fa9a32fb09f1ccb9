#!/bin/bash
# Starts a run on every host of a Cloud TPU slice, or resumes it: TPU=NAME ZONE=ZONE bash tpu_vm.sh
set -euo pipefail
: "${TPU:?name of the TPU VM}" "${ZONE:?its zone}"
REPOSITORY=https://example.org/neurojax.git  # EDIT
ROOT=/mnt/shared/data/mine                   # EDIT: a disk or bucket that all hosts mount
WORKDIR=/mnt/shared/runs/mine                # EDIT

on_all_hosts() {
    gcloud compute tpus tpu-vm ssh "$TPU" --zone="$ZONE" --worker=all --command="$1"
}

on_all_hosts "test -d neurojax || git clone --quiet --depth=1 $REPOSITORY neurojax
    cd neurojax && pip install --quiet --user uv && python3 -m uv venv --quiet --seed --allow-existing --python 3.12 .venv
    .venv/bin/pip install --quiet -e '.[viz,tpu]'"
on_all_hosts "cd neurojax && .venv/bin/neurojax train --config=configs/mtm.py:size=base \
    --config.data.root=$ROOT --workdir=$WORKDIR --coordinator=auto"
