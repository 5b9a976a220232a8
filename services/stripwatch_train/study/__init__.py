"""The study behind `docs/paper.md`: the paper's table reproduced, and what lies past it."""
