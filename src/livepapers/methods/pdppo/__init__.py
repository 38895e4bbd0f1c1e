from livepapers.methods.pdppo.learner import *
from livepapers.methods.pdppo.learner import PostDecisionPPO, Config
