"""The options of every verb of the command line, as `argparse` takes them."""

from pathlib import Path

from neurojax.verb_options import file as _file
from neurojax.verb_options import names as _names
from neurojax.verb_options import numbers as _numbers
from neurojax.verb_options import option as _option
from neurojax.verb_options import pairs as _pairs
from neurojax.verb_options import seed as _seed

PROTOCOL_HELP = "mtm, nlb, brainwide, few_shot, or the path of a protocol file (docs/protocols.md)"


WORKDIR = _file("--workdir", "DIR", dest="folder", required=True)
DATA_OF_RUN = _file("--data", "ROOT", help="default: the data of the run")

# Verb -> what it does, and its options: parameters of the function of that name.
VERBS = {
    "convert": (
        "Convert recordings to session folders.",
        _option(
            "kind",
            metavar="KIND",
            help="arrays, nwb, ...; `neurojax convert KIND --help` says what that kind takes",
        ),
        _option("paths", nargs="*", metavar="PATH"),
        _file("--out", "ROOT"),
        _option("--bin_ms", type=float, help="bin width in ms; whole multiples of the file's bins"),
        _option("--align", metavar="COLUMN", help="trial column with the event to align to, in s"),
        _option(
            "--window",
            type=_numbers,
            metavar="FROM,TO",
            help="seconds around the event, e.g. -0.5,1.5",
        ),
        _option("--window_s", type=float, help="cut a recording without trials into windows"),
        _option("--behavior", "--behaviour", type=_names, default=(), metavar="NAME,..."),
        _option("--trial_columns", type=_names, default=(), metavar="NAME,..."),
        _option("--split", default="file", metavar="file|random|blocks:300s"),
        _option(
            "--options",
            type=_pairs,
            default=(),
            metavar="NAME=VALUE,...",
            help="of this kind alone",
        ),
        _option(
            "--num_workers",
            type=int,
            metavar="N",
            help="processes, 0 none; default: the cores, when it pays",
        ),
        _option("--shard", metavar="i/n", help="convert the i-th of n shares of the paths"),
        _option("--overwrite", action="store_true"),
        _option(
            "--time_unit",
            metavar="UNIT",
            help="of the file's times: s, ms, us, ns, samples:30000, or spikes=ms,trials=s",
        ),
        _option(
            "--max_gap_s", type=float, help="samples of behaviour further apart leave bins unknown"
        ),
        _option(
            "--silence",
            default="unobserved",
            metavar="unobserved|keep",
            help="what stretches are in which a whole population is silent",
        ),
        _option(
            "--strict", action="store_true", help="refuse a recording with a bad optional part"
        ),
        _option(
            "--session_id",
            metavar="NAME",
            help="a name, or a template such as {parent}_{stem}; {name}, {parent2}, {0}, ...",
        ),
        _option(
            "--join",
            nargs="?",
            const="auto",
            metavar="units|time",
            help="all PATHs are one session: units of probes, or trials of blocks in time",
        ),
        _option("--guess", action="store_true", help="say what KIND each PATH seems to be"),
    ),
    "check": (
        "Report on converted sessions; exit 2 when they cannot be used.",
        _file("roots", "ROOT", nargs="+"),
        _option("--json", dest="json_output", action="store_true"),
    ),
    "train": (
        "Train, evaluate and draw a run; the same command resumes it.",
        WORKDIR,
        _option("--dry_run", action="store_true", help="print shapes and estimates, train nothing"),
        _option("--allow_dataset_change", action="store_true"),
        _option(
            "--seeds",
            dest="num_seeds",
            type=int,
            metavar="N",
            help="N runs from config.seed on, in DIR/seed_0, ..., and their mean",
        ),
        _option(
            "--ensemble",
            type=int,
            metavar="K",
            help="K models side by side, of seeds config.seed on, predicting as one",
        ),
        _option(
            "--coordinator",
            metavar="HOST:PORT",
            help="several processes: where process 0 listens, or auto",
        ),
        _option("--num_processes", type=int, metavar="N"),
        _option("--process_id", type=int, metavar="I", help="0 to N-1"),
    ),
    "evaluate": (
        "Score a run under a protocol.",
        WORKDIR,
        DATA_OF_RUN,
        _option("--protocol", metavar="NAME", help=f"{PROTOCOL_HELP}; default: that of the config"),
        _file(
            "--out",
            "FILE",
            help="default: evaluation.json and a report in DIR, or evaluation_NAME.json",
        ),
        _file(
            "--submission",
            "DIR",
            help="with --protocol=brainwide: BrainWideBench's prediction files, no scores "
            "(docs/protocols.md)",
        ),
    ),
    "baselines": (
        "Score simple methods on converted sessions, without a model.",
        _file("--data", "ROOT", dest="root", required=True),
        _option("--protocol", default="mtm", metavar="NAME", help=f"{PROTOCOL_HELP}; default: mtm"),
        _option("--names", type=_names, metavar="NAME,...", help="default: all"),
        _file("--out", "FILE"),
    ),
    "compare": (
        "Compare the evaluations of runs.",
        _file("runs", "RUN", nargs="+"),
        _file("--out", "FILE"),
    ),
    "decode": (
        "Decode behaviour from a frozen model, beside read-outs of spikes tuned alike; of a twin: "
        "which image was shown.",
        WORKDIR,
        DATA_OF_RUN,
        _option(
            "--target",
            required=True,
            type=_names,
            metavar="NAME,...",
            help="conditions, behaviours, contrast_side; of a digital twin: stimulus",
        ),
        _option("--method", default="probe", metavar="probe|finetune"),
        _option(
            "--protocol", default="cv", metavar="cv|split|mtm", help="cv: nested folds of trials"
        ),
        _option(
            "--features",
            metavar="latents|rates|latents+spikes",
            help="default: latents (rates for mtm)",
        ),
        _option("--kind", metavar="categorical|per_trial|per_bin", help="default: from the values"),
        _option(
            "--lags",
            metavar="FROM:TO",
            help="bins that latents are read from; default: chosen in the folds",
        ),
        _option("--num_folds", type=int, default=5, metavar="N"),
        _option(
            "--fold_by", default="trial", metavar="trial|block", help="block: stretches of time"
        ),
        _option(
            "--baselines",
            type=_names,
            metavar="NAME,...",
            help="of raw, lagged_ridge, whole_trial, gru, bayes; default: by target",
        ),
        _option("--regions", action="store_true", help="also from each region alone"),
        _option("--num_permutations", type=int, default=20, metavar="N", help="shuffled labels"),
        _option("--seed", type=_seed, default=0, metavar="N"),
        _file("--out", "DIR", help="default: the workdir"),
    ),
    "predict": (
        "Write predicted rates of the test trials, or what a language model expects of texts.",
        WORKDIR,
        DATA_OF_RUN,
        _file("--out", "DIR", required=True, help="a folder; with --text a file"),
        _file("--text", "FILE", help="pairs of outcomes, for a language model (docs/language.md)"),
        _option("--protocol", metavar="NAME", help="with --text: brainbench"),
        _option("--task", type=_names, metavar="NAME,...", help="default: all four"),
        _option("--format", dest="file_format", default="npz", metavar="npz|nwb|answers"),
        _option(
            "--mixed_with",
            default="",
            metavar="stack",
            help="rates of the model and the linear stack together; default: the model's own",
        ),
    ),
    "export": (
        "Write a run's weights and model card as a folder to share.",
        WORKDIR,
        _file("--out", "DIR", required=True),
        _option("--licence", metavar="TEXT", help="of the weights, e.g. CC-BY-4.0"),
        _option(
            "--format",
            dest="file_format",
            default="neurojax",
            metavar="neurojax|mtm",
            help="mtm: the public names of NDT1-stitch (docs/importing.md); default: neurojax",
        ),
    ),
    "adapt": (
        "Give recordings that a model never saw their rows, without training or with some.",
        _file("--from", "RUN", dest="source", required=True, help="workdir, or a folder of export"),
        _file("--data", "ROOT", dest="root", required=True),
        _file("--out", "DIR", required=True, help="workdir of the new run"),
        _option(
            "--steps",
            type=int,
            default=0,
            metavar="N",
            help="training steps from there; default: 0, of a network for gestures 200",
        ),
        _option("--dry_run", action="store_true", help="print sizes and memory, write nothing"),
    ),
    "audit": (
        "Ask what the scores of a run rest on: copies, shortcuts, drift, groups, empty inputs.",
        WORKDIR,
        DATA_OF_RUN,
        _file("--out", "DIR", help="default: the workdir"),
        _option("--seed", type=_seed, default=0, metavar="N", help="of the draws; default: 0"),
    ),
    "lineage": (
        "Name the training trials that stand behind a prediction, and their raw files.",
        _file("--workdir", "DIR", dest="folder", required=True, help="a run, or an export"),
        _option("--session", required=True, metavar="ID", help="recording of the trial"),
        _option("--trial", type=int, required=True, metavar="N", help="its index there"),
        _option("--num", type=int, default=10, metavar="N", help="trials to print; default: 10"),
        DATA_OF_RUN,
        _file("--out", "FILE", help="all of it as JSON"),
    ),
    "inspect": (
        "Look inside a run: features of its states, what they drive, maps, as a page to browse.",
        WORKDIR,
        DATA_OF_RUN,
        _file("--out", "DIR", help="default: the workdir"),
        _option("--kind", default="topk", metavar="topk|jumprelu", help="default: topk"),
        _option("--num_features", type=int, metavar="N", help="default: four a dimension"),
        _option("--num_active", type=int, default=16, metavar="N", help="of a state; default: 16"),
        _option("--steps", type=int, default=1000, metavar="N", help="of training; default: 1000"),
        _option("--seed", type=_seed, default=0, metavar="N", help="of the draws; default: 0"),
    ),
    "forget": (
        "Write weights without the rows of a subject, and prove that the rest is as it was.",
        _file("--workdir", "DIR", dest="folder", required=True, help="a run, or an export"),
        _option("--subject", required=True, metavar="ID", help="subject_id of its recordings"),
        _file("--out", "DIR", required=True, help="a folder as of export"),
        _option("--licence", metavar="TEXT", help="of the weights; default: that of the export"),
    ),
    "doctor": ("Verify a run's checkpoints, files and versions.", WORKDIR),
    "import": (
        "Make a run of public weights.",
        _option(
            "kind",
            metavar="KIND",
            help="gpt2, llama (Mistral, too), mtm (docs/importing.md), or twin (docs/twins.md)",
        ),
        _file(
            "path",
            "PATH",
            help="a folder with config.json, safetensors and tokenizer.json; of mtm a .safetensors "
            "or .npz file, or its folder; of a twin a .safetensors file with NAME.config.json "
            "beside it",
        ),
        _file("--out", "DIR", required=True),
    ),
    "scaling": (
        "Draw a learning curve over runs, fit it, and say what may be expected of more.",
        _file("runs", "RUN", nargs="+", help="workdirs, or one CSV file of points"),
        _option(
            "--axis",
            required=True,
            metavar="NAME",
            help="sessions, trials, units, minutes, people, parameters, steps, compute (seconds of "
            "training); a column of the CSV",
        ),
        _option("--score", metavar="NAME", help="path into evaluation.json, or a column"),
        _option(
            "--at", type=_numbers, metavar="SIZE,...", help="default: 2, 10 and 100 times more"
        ),
        _option("--forms", type=_names, metavar="NAME,...", help="default: four (docs/curves.md)"),
        _option("--limit", type=_numbers, metavar="LOW,HIGH", help="what the curve may end at"),
        _option("--seed", type=_seed, default=0, metavar="N"),
        _file("--out", "DIR", default=Path("."), help="default: here"),
    ),
    "syllables": (
        "Find syllables of behaviour in keypoints that a tracker found.",
        _file("tracks", "TRACKS", nargs="+", help="a file a recording, of the same keypoints"),
        _option(
            "--software",
            default="arrays",
            metavar="NAME",
            help="deeplabcut, sleap, lightning_pose or arrays (.npz)",
        ),
        _option("--sampling_hz", type=float, required=True, metavar="N", help="frames per second"),
        _option("--front", required=True, metavar="KEYPOINT", help="towards the nose"),
        _option("--back", required=True, metavar="KEYPOINT", help="towards the tail"),
        _option("--individual", metavar="NAME", help="animal, where the files hold several"),
        _option("--num_syllables", type=int, default=20, metavar="N", help="at most"),
        _option(
            "--expected_s",
            type=float,
            default=0.4,
            metavar="S",
            help="duration, before any frame is seen",
        ),
        _option(
            "--components", type=int, metavar="N", help="of posture; default: 98 %% of its variance"
        ),
        _option("--seed", type=_seed, default=0, metavar="N"),
        _file("--out", "DIR", required=True),
    ),
    "encode": (
        "Predict responses from features, such as layers of a network, and say which fit best.",
        _file("features", "FEATURES", help="a file of named arrays [images, d], a layer each"),
        _file("responses", "RESPONSES", help="responses [trials, N], stimulus and split [trials]"),
        _file("--out", "DIR", required=True),
        _option("--layers", type=_names, default=(), metavar="NAME,...", help="default: all"),
        _option("--solver", default="closed_form", metavar="closed_form|himalaya"),
        _option("--seed", type=_seed, default=0, metavar="N", help="of a split that is drawn"),
    ),
    "check-experiment": (
        "An experiment's observed numbers beside the expected ones; exit 2 outside tolerance.",
        _option("experiment", nargs="?", metavar="ID", help="a folder of experiments/"),
        _option("--all", dest="every", action="store_true", help="all with an expected.json"),
        _option("--size", default="local", metavar="smoke|local|paper", help="default: local"),
        _file(
            "--results",
            "FILE",
            help="or a folder with the files named; default: results.json of the experiment",
        ),
    ),
}
