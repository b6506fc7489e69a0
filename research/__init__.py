# SPDX-License-Identifier: GPL-3.0-or-later
"""Research that produced the models: comparison, ablation, publishing of models and the results page; not installed."""
