//! What an operator costs by itself, inputs excluded.
//!
//! PostgreSQL's total cost of an operator holds that of its inputs. A shared subplan (a CTE) is in the total of one
//! operator only, the one it hangs under; EXPLAIN prints that one before the CTE Scans that read it, so it is the
//! consumer with the lowest number. Self costs of a plan then add up to its total cost, but for operators that run an
//! input more than once or not to its end (Nested Loop, Limit, SubPlans): what comes above or below once through the
//! input is theirs, and never less than 0.

use super::QueryDag;
use crate::OperatorId;
use crate::cost::{CostContext, Input};

impl QueryDag {
    /// What an operator costs by itself, inputs excluded: by the cost model, or PostgreSQL's total cost less that of
    /// its inputs. An unknown operator costs nothing.
    ///
    /// Complexity: O(inputs, and their consumers).
    pub fn self_cost(&self, id: OperatorId) -> f64 {
        let cost = self
            .positions
            .get(&id)
            .map(|&position| self.self_cost_at(position, |input| self.payer(input)));
        cost.unwrap_or(0.0)
    }

    /// All self costs, in the order of [`QueryDag::nodes`].
    ///
    /// Complexity: O(V + E).
    pub fn self_costs(&self) -> Vec<(OperatorId, f64)> {
        self.nodes
            .iter()
            .map(|node| node.id)
            .zip(self.self_costs_by_position())
            .collect()
    }

    /// All self costs by position.
    pub(crate) fn self_costs_by_position(&self) -> Vec<f64> {
        // Those of shared operators are looked for once; in a tree there are none.
        let is_shared = |&position: &usize| self.consumers[position].len() > 1;
        let shared: Vec<(usize, Option<usize>)> = (0..self.nodes.len())
            .filter(is_shared)
            .map(|position| (position, self.payer(position)))
            .collect();
        let payer = |input: usize| match self.consumers[input][..] {
            [only] => Some(only),
            _ => {
                let place = shared.binary_search_by_key(&input, |&(position, _)| position);
                place.ok().and_then(|place| shared[place].1)
            }
        };
        (0..self.nodes.len())
            .map(|position| self.self_cost_at(position, payer))
            .collect()
    }

    /// The consumer whose total cost holds that of the operator.
    pub(crate) fn payer(&self, position: usize) -> Option<usize> {
        match self.consumers[position][..] {
            [] => None,
            [only] => Some(only),
            ref several => several
                .iter()
                .copied()
                .min_by_key(|&consumer| self.nodes[consumer].id),
        }
    }

    fn self_cost_at(&self, position: usize, payer: impl Fn(usize) -> Option<usize>) -> f64 {
        let node = &self.nodes[position];
        let Some(model) = &self.cost_model else {
            let paid = self.inputs[position]
                .iter()
                .filter(|&&input| payer(input) == Some(position));
            return (node.total_cost - paid.map(|&input| self.nodes[input].total_cost).sum::<f64>()).max(0.0);
        };
        let inputs: Vec<Input> = self.inputs[position]
            .iter()
            .map(|&input| {
                let input = &self.nodes[input];
                // An estimate where the input has one; a hand-built graph may not.
                let rows = model.estimate_cardinality(input, &CostContext::default()) as f64;
                Input {
                    rows,
                    width: input.width,
                }
            })
            .collect();
        model.estimate_cost(node, &CostContext { inputs: &inputs }) * model.platform_overhead()
    }
}
