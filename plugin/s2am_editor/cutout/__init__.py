# SPDX-License-Identifier: GPL-3.0-or-later
"""Cut-outs: selecting a subject, painting and feathering masks, and removing color fringes."""
