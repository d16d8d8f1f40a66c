"""Where each row of the papers' tables, as they were collected in one file, is found among the recipes."""

from vitalcam.recipes import COSTS

MODELS = {
    ("PhysNet", "none"): "physnet",
    ("PhysFormer", "TD-MHSA"): "physformer",
    ("EfficientPhys", "SASN"): "efficientphys",
    ("EfficientPhys", "FSAM"): "efficientphys_fsam",
    ("FactorizePhys", "FSAM"): "factorizephys",
    ("FactorizePhys", "TSFM"): "factorizephys_tsfm",
    ("FactorizePhys", "none (base)"): "base",
    ("MMRPhys", "TSFM"): "mmrphys",
    ("physFSUNet", "STAS"): "physfsunet",
    ("physFSUNet", "STAS (soft self-attention + TSM)"): "physfsunet",
    ("RhythmFormer", "periodic sparse attention"): "rhythmformer",
}
ABLATIONS = {
    "mapping M=kappa (channel)": "channel",
    "mapping M=tau*kappa": "time_channel",
    "mapping M=tau (temporal; chosen)": "time",
    "train base / infer base": "base",
    "train base+FSAM / infer base+FSAM": "fsam_on",
    "train base+FSAM / infer base": "fsam_off",
    "train base+FSAM+res / infer base+FSAM+res": "residual_on",
    "train base+FSAM+res / infer base": "residual_off",
}
CONSTRAINTS = {"none (base)": "base", "FSAM (no constraint)": "fsam", "GRBF": "grbf", "TSFM (target signal)": "tsfm"}
SIZES = {"160x72x72": "px72", "240x128x128": "px128"}
MODALITIES = {"T": "thermal", "RGB": "rgb", "RGBT": "rgbt"}
FACTORIZEPHYS = ("", "mapping", "cross", "fsam", "rank", "seeds", "within", "scale", "modality", "cost")
SCORES = {"MAE": "mae", "RMSE": "rmse", "MAPE": "mape", "Corr": "pearson", "SNR": "snr_db", "MACC": "macc"}
COST_NAMES = {
    "params": "parameters",
    "cpu_ms": "cpu_ms",
    "gpu_ms": "gpu_ms",
    "size_MB": "size_mb",
    "memory_MB": "memory_mb",
}


def scores(record):
    """Numbers of a row by our names, as recipes have them; what the papers say in words has none."""
    prefix = "resp_" if record["signal"] == "RR/RSP" else ""
    given = {k: v for k, v in record["metrics"].items() if v["mean"] is not None and k in (*SCORES, *COST_NAMES)}
    return {
        COST_NAMES.get(k) or prefix + SCORES[k]: [v["mean"]] + ([] if v["se"] is None else [v["se"]])
        for k, v in given.items()
    }


def place(record, score):
    """Recipe and key; None for a row that no recipe holds."""
    return {"002": factorizephys, "001": mmrphys, "000": physfsunet}[record["paper"]](record, score)


def sets(record):
    return f"{record['train']}/{record['test']}"


def model(record):
    return MODELS.get((record["model"], record["attention"]))


def factorizephys(record, _):
    number = int(record["table"])
    recipe, name = f"factorizephys_{FACTORIZEPHYS[number]}", model(record)
    if number == 9:
        return recipe, name
    if number in (1, 3):
        name = ABLATIONS[record["ablation"]]
    if number == 4:
        name = "base" if record["attention"] == "none" else f"rank{record['rank']}_steps{record['md_steps']}"
    if number in (7, 8):
        name = SIZES[record["input_shape"]] if number == 7 else MODALITIES[record["modality"]]
    seed = "" if record.get("seed") in (None, "mean") else f"#{record['seed']}"
    return recipe, f"{name}/{sets(record)}{seed}"


def physfsunet(record, score):
    if score in COSTS:
        return "physfsunet_cost", model(record)
    return "physfsunet_inner" if record["table"] == "I" else "physfsunet_cross", f"{model(record)}/{sets(record)}"


def mmrphys(record, _):
    table = record["table"]
    if table == "prose":
        return "mmrphys_figure6", model(record)
    if table[:2] in ("4 ", "6/"):
        return two_tasks(record)
    if record["source"] == "repo-log":
        return None  # the printed rows again, with more digits
    if table == "1":
        return "mmrphys_constraint", f"{CONSTRAINTS[record['attention']]}/{sets(record)}"
    if table == "3":
        return "mmrphys_cross", f"{model(record)}/{record['train']}/*"
    return {"2": "mmrphys_within", "5": "mmrphys_cross"}[table], f"{model(record)}/{sets(record)}"


def two_tasks(record):
    """Pulse and breathing; what the notes of mmrphys_bp4d leave out has no place."""
    name, camera = record["model"], record["modality"].lower()
    if "note" in record or (name, camera) in (("BigSmall", "t"), ("MMRPhysLEF", "rgbt")):
        return None
    if name == "BigSmall":
        key = f"bigsmall_{camera}/{sets(record)}"
    else:
        size = {"L": 72, "M": 36, "S": 9}[name[-3]]
        key = f"{camera}{size}_{record['attention'].lower()}/{sets(record)}"
    recipe = "mmrphys_scamps_bp4d" if record["train"] == "SCAMPS" else "mmrphys_bp4d"
    return recipe, key + (f"/fold{record['fold']}" if "fold" in record else "")
