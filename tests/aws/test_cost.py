"""docs/cost.md is what cost.py says."""

import unittest

import cost
from cfn import ROOT


class Cost(unittest.TestCase):
    """The page, and the sums in it."""

    def test_the_page_is_fresh(self):
        there = (ROOT / "docs/cost.md").read_text()
        self.assertEqual(there, cost.page(), "docs/cost.md is stale: cd tests/aws && python cost.py >../../docs/cost.md")

    def test_more_runs_and_more_attachments_cost_more(self):
        def total(minutes, run=cost.WARM, state="warm"):
            return sum(cost.idle(minutes, run, cost.SECONDS[state]).values())

        self.assertAlmostEqual(total(1), 5 * total(5))
        self.assertGreater(total(5, cost.COLD, "cold"), total(5))
        objects = cost.million(1)["objects"] - cost.million(0)["objects"]
        self.assertAlmostEqual(objects, 1e6 * cost.PRICES["object write"].dollars)

    def test_by_hand(self):
        """The same in another way, from the page of prices alone."""
        runs = 730 * 60
        by_hand = runs * (0.25 * 0.5 * 0.0000166667 + 0.2e-6) + runs * 4 * 0.625e-6 + runs * 1e-6 + runs * 1400 / 1e9 * 0.5
        self.assertAlmostEqual(sum(cost.idle(1, cost.WARM, 0.25).values()), by_hand, places=6)
        by_hand = 1e6 * (2.5 * 5e-6 + 9 * 0.625e-6 + 1e-6 + 1.2 * 0.5e-6 + 0.04 * 0.5 * 0.0000166667)
        self.assertAlmostEqual(sum(cost.million(0.5).values()), by_hand, places=4)


if __name__ == "__main__":
    unittest.main()
