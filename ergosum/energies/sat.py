r"""3-SAT as an energy: cheap to check, hard to minimise.

$$ E(x) = sum_k e_k(x),   e_k = 0 if the assignment x satisfies clause k, else 1 $$

A formula is satisfiable if and only if its energy has the minimum 0, and energies of formulas over the same variables
add up to the energy of the formulas joined by "and". One evaluation looks at the 3 literals of each clause, however
many variables there are; every known way to the minimum over D variables takes $2^{c D}$ steps at worst, c > 0.

Encoding: variables are 1 ... D as in DIMACS files; the literal i is variable i, -i its negation. A coordinate counts as
true if $x_i > 1/2$: rounded to the nearest integer, halves to even, and then clamped to {0, 1}.

Source: Du, Li, Sharma, Tenenbaum, Mordatch 2021, section 4, remarks 2 and 3. Differs: the source encodes the clause
(x1 or x2 or x3) as [1, 2, 3] and leaves open how a negation is written, here by sign; it rounds x to any integer, here
clamped to a truth value; it rounds the code z, too, here integers are asked for. What its remarks leave unsaid:

- Both rest on the exponential time hypothesis, unproven and stronger than P != NP. That is about the number of
  variables; that it also holds for variables plus clauses, as they use it, is the sparsification lemma (Impagliazzo,
  Paturi, Zane 2001).
- An evaluation is linear in the number K of clauses. That is polynomial in D, as remark 2 says, if no clause is
  repeated: there are $O(D^3)$ of them.
- Remark 3, "exponential in the number k of components", needs D to grow with k. For D fixed, trying all assignments
  takes 2^D evaluations, each linear in k.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from ergosum.energies.arguments import fits
from ergosum.energy import Energy
from ergosum.shapes import Batch, PerSample

__all__ = ["Clauses"]


class Clauses(Energy):
    """The number of clauses that an assignment leaves unsatisfied.

    It is constant between the thresholds: its gradient is zero almost everywhere and tells a sampler nothing, so it
    needs a search over assignments. It has no density on R^D by itself, hence no `log_z`; beside a Gaussian it has.

    Args:
        literals: (K, 3) integers of 1 ... D, negative for a negation; a shorter clause repeats a literal.
        variables: D >= 1.
    Shape:
        x: (batch, D), real. Returns (batch,), whole numbers in 0 ... K.
    Cost: O(K), whatever D is.
    Raises:
        ValueError: if literals are not whole numbers (K, 3) in -D ... -1 or 1 ... D, or x does not fit.
    Example:
        >>> formula = Clauses([[1, 2, -3], [-1, -1, -1]], variables=3)  # (x1 or x2 or not x3) and not x1
        >>> formula(torch.tensor([[0.0, 0.0, 0.0], [1.0, 0.0, 1.0], [0.2, 0.1, 0.9]]))
        tensor([0., 1., 1.])
    """

    place: Tensor
    sign: Tensor

    def __init__(self, literals: Tensor | Sequence[Sequence[int]], variables: int) -> None:
        super().__init__()
        held = torch.as_tensor(literals)
        if held.ndim != 2 or held.shape[1] != 3 or held.is_floating_point() or held.dtype == torch.bool:
            raise ValueError(
                f"Clauses: expected whole numbers of shape (K, 3), got {held.dtype} of shape {tuple(held.shape)}; "
                "write a shorter clause with a literal repeated, a longer one as several."
            )
        if variables < 1 or len(held) == 0:
            raise ValueError(f"Clauses: expected at least one variable and one clause, "
                             f"got {variables} and {len(held)}.")  # fmt: skip
        wrong = held[(held == 0) | (held.abs() > variables)]
        if wrong.numel():
            raise ValueError(
                f"Clauses: expected literals of 1 ... {variables}, or negative ones for negations, "
                f"got {wrong[0].item()}; variables are counted from 1."
            )
        self.variables = int(variables)
        self.register_buffer("place", held.abs().long() - 1)
        self.register_buffer("sign", held > 0)

    @property
    def literals(self) -> Tensor:
        """(K, 3), signed."""
        return (self.place + 1) * (2 * self.sign.long() - 1)

    def forward(self, x: Batch) -> PerSample:
        """Clauses left unsatisfied."""
        fits("Clauses", x, (self.variables,))
        holds = (x[:, self.place] > 0.5) == self.sign
        unsatisfied = (~holds.any(2)).sum(1)
        # a sum over nothing ties the count to x, so that gradients exist, and are zero, in any composition
        return unsatisfied.to(x.dtype) + x[:, :0].sum(1)
