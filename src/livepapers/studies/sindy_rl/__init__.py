"""Study of sindy-rl: cart-pole swing-up in MuJoCo by sparse, linear and neural surrogates and without any."""

from livepapers.studies.sindy_rl.claims import CLAIMS
from livepapers.studies.sindy_rl.design import ARMS, DEVIATIONS, SETTINGS
from livepapers.studies.sindy_rl.measuring import measure

VERSION = 4

__all__ = ["ARMS", "CLAIMS", "DEVIATIONS", "SETTINGS", "VERSION", "measure"]
