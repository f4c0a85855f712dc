"""Finding an estimator by name: the one that trains, or a plug-in. Torch is imported with the former, not before."""

from nasgym.core import plugins
from nasgym.core.errors import PluginError, nearest
from nasgym.evaluation.recipes import Profile, training_profile
from nasgym.evaluation.request import Estimator
from nasgym.evaluation.stopping import Stopping

TRAINING = "training"
"""Name of the estimator that comes with the package."""

_PLUGINS = "nasgym.estimators"


def load_estimator(
    name: str = TRAINING,
    profile: Profile | None = None,
    *,
    device: str = "auto",
    threads: int | None = None,
    time_limit: float | None = None,
    stopping: Stopping | None = None,
) -> Estimator:
    """Return an estimator: `training`, or a plug-in of the entry-point group `nasgym.estimators`.

    A plug-in is a callable that takes a `Profile` and returns an estimator.

    Args:
        name: of the estimator.
        profile: how architectures become trained networks; `default` unless given.
        device: of `training`, as are the rest: `auto`, `cpu` or `cuda`.
        threads: of torch's operators; `None` leaves them as they are.
        time_limit: seconds after which a network is given up.
        stopping: gives up hopeless trainings.

    Raises:
        PluginError: no such estimator, it cannot be imported, or it is none.
    """
    if profile is None:
        profile = training_profile("default")
    if name == TRAINING:
        from nasgym.evaluation.training import TrainingEstimator

        return TrainingEstimator(profile, device=device, threads=threads, time_limit=time_limit, stopping=stopping)
    known = (TRAINING, *plugins.available(_PLUGINS))
    if name not in known:
        raise PluginError(f"No estimator {name!r} (known: {', '.join(known)}).{nearest(name, known)}")
    estimator = plugins.load(_PLUGINS, name)(profile)
    missing = [part for part in ("fingerprint", "profile", "evaluate") if not hasattr(estimator, part)]
    if missing:
        raise PluginError(
            f"Plug-in {name!r} of {_PLUGINS!r} gave {estimator!r}, which has no {', no '.join(missing)}; "
            "an estimator has all of nasgym.evaluation.Estimator."
        )
    loaded: Estimator = estimator
    return loaded
