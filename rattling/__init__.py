"""Steady states, rattling and typicality of driven stochastic systems."""

from rattling import apriori, blowtorch, datasets, engineering, systems, thermodynamics
from rattling._config import show_config
from rattling._core import ConvergenceError, ReducibleError
from rattling.decomposition import LocalGlobal, local_global
from rattling.density import DensityField, estimate_density
from rattling.estimators import RattlingField, estimate_rattling
from rattling.evolution import Evolution, RelaxationModes, evolve, relaxation_times
from rattling.fokker_planck import AccuracyWarning, SteadyState, generator, steady_state
from rattling.gamma import GammaFit, fit_gamma
from rattling.grids import Grid
from rattling.intervals import Intervals
from rattling.jumps import JumpPaths
from rattling.maps import Map
from rattling.markov import Generator
from rattling.models import Model, exact_rattling
from rattling.simulation import Observation, Simulation
from rattling.sweeps import Ensemble, Sweep, sweep, typicality_ensemble
from rattling.trajectories import Trajectories, simulate
from rattling.typicality import Typicality, typicality
from rattling.windows import WindowedRattling, windowed_rattling

__all__ = [
    "AccuracyWarning",
    "ConvergenceError",
    "DensityField",
    "Ensemble",
    "Evolution",
    "GammaFit",
    "Generator",
    "Grid",
    "Intervals",
    "JumpPaths",
    "LocalGlobal",
    "Map",
    "Model",
    "Observation",
    "RattlingField",
    "ReducibleError",
    "RelaxationModes",
    "Simulation",
    "SteadyState",
    "Sweep",
    "Trajectories",
    "Typicality",
    "WindowedRattling",
    "apriori",
    "blowtorch",
    "datasets",
    "engineering",
    "estimate_density",
    "estimate_rattling",
    "evolve",
    "exact_rattling",
    "fit_gamma",
    "generator",
    "local_global",
    "relaxation_times",
    "show_config",
    "simulate",
    "steady_state",
    "sweep",
    "systems",
    "thermodynamics",
    "typicality",
    "typicality_ensemble",
    "windowed_rattling",
]
