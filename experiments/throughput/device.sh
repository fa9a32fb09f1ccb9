#!/usr/bin/env bash
# Everything that only an accelerator can tell, in under ten minutes: results.json, pretraining lines, a first step, a
# first run with its evaluation. What fails or takes too long ends by itself, and the rest goes on.
#
#   bash experiments/throughput/device.sh [FOLDER]    # FOLDER (default runs/device) takes logs and results
#
# Needs the package with jax for the device (pip install -e ".[gpu,viz]" or ".[tpu,viz]"), and torch beside it for the
# rows beside PyTorch (--peer of run.py makes an environment of its own where the network allows it).
set -uo pipefail
cd "$(dirname "$0")/../.."
out=${1:-runs/device}
mkdir -p "$out"
kind=$(python -c 'import jax; print(jax.devices()[0].platform)') || exit 2
if [[ $kind == cpu ]]; then
    echo "no accelerator: jax.devices() has only CPUs; nothing was measured" >&2
    exit 2
fi
python -c 'import jax; print(jax.__version__, jax.devices())' | tee "$out/device.txt"

measure() { # NAME SECONDS COMMAND...: its output, exit code and wall time
    local name=$1 limit=$2 start=$SECONDS
    shift 2
    timeout "$limit" "$@" > "$out/$name.log" 2>&1
    echo "$name: exit $?, $((SECONDS - start)) s" | tee -a "$out/times.txt"
}

measure first_run 150 python -m neurojax train --config=configs/mtm.py --workdir="$out/first_run"
measure pretraining_16 75 python experiments/throughput/pretraining.py --minutes=0.7 --batch=16
measure pretraining_256 75 python experiments/throughput/pretraining.py --minutes=0.7 --batch=256
[[ $kind == gpu ]] && measure beside_torch 240 python experiments/throughput/run.py --device="$kind" --rounds=3 --runs="$out/throughput"
[[ $kind == gpu ]] && cp experiments/throughput/results.json "$out/results.json"
cat "$out/times.txt"
