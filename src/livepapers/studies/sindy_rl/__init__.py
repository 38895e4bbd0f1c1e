"""Study of sindy-rl: cart-pole swing-up in MuJoCo by sparse, linear and neural surrogates and without any."""

from livepapers.lab.study import Curve
from livepapers.studies.sindy_rl.claims import CLAIMS
from livepapers.studies.sindy_rl.design import ARMS, DEVIATIONS, SETTINGS
from livepapers.studies.sindy_rl.measuring import measure

VERSION = 4

CURVES = (
    Curve("test_return", "updates", "Mean return of the test episodes on the real system"),
    Curve("real_steps", "updates", "Steps of the real system so far"),
)

__all__ = ["ARMS", "CLAIMS", "CURVES", "DEVIATIONS", "SETTINGS", "VERSION", "measure"]
