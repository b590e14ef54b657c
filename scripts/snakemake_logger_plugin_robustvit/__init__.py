"""`snakemake --logger robustvit`: what runs, how far it is and how long it still takes.

Snakemake finds a logger by a top-level module of this name that has a `LogHandler`. It imports
every logger at each start, also inside cluster jobs, so nothing heavy (rich) is imported here.
"""

from snakemake_logger_plugin_robustvit.handler import LogHandler

__all__ = ["LogHandler"]
