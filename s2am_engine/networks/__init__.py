# SPDX-License-Identifier: GPL-3.0-or-later
"""Networks: modules on tensors that predict color maps or masks, without files, devices or user interfaces."""
