"""Statements: control flow by masks."""

from __future__ import annotations

from lmbook.gpu.errors import EndlessLoop, SubsetError
from lmbook.gpu.simulator import syntax
from lmbook.gpu.simulator.declarations import Step
from lmbook.gpu.simulator.inlining import FunctionCompiler
from lmbook.gpu.simulator.machine import Machine
from lmbook.gpu.simulator.masks import NOBODY, union
from lmbook.gpu.simulator.memory import merge
from lmbook.gpu.simulator.operators import truth
from lmbook.gpu.simulator.types import VOID
from lmbook.gpu.simulator.values import charged, convert


class StatementCompiler(FunctionCompiler):
    """Compiles statements: each becomes a step that the machine runs for all lanes at once."""

    def statement(self, node: syntax.Node) -> Step:
        """Compile one statement to a step."""
        if isinstance(node, syntax.Declare):
            return self.declare(node)
        return getattr(self, "on_" + type(node).__name__.lower())(node)  # type: ignore[no-any-return]

    def on_block(self, node: syntax.Block) -> Step:
        """Statements one after the other, in a scope of their own."""
        if node.scope:
            self.scopes.append({})
        steps = [self.statement(s) for s in node.body]
        if node.scope:
            self.scopes.pop()

        def run(m: Machine) -> None:
            for step in steps:
                step(m)
                if m.mask is NOBODY:  # all have left by return, break or continue
                    return

        return steps[0] if len(steps) == 1 else run

    def on_evaluate(self, node: syntax.Evaluate) -> Step:
        """An expression for its effects."""
        return charged(self.expression(node.value, used=False), node.line)

    # --- control flow

    def on_if(self, node: syntax.If) -> Step:
        """Both sides, each for the lanes that take it; one side where the test is constant."""
        test = truth(self.value(node.test), node.test.line)
        if test.const is not None:
            chosen = node.yes if test.const else node.no
            return self.scoped(chosen) if chosen else lambda m: None
        condition, line = charged(test, node.line), node.line
        yes = self.scoped(node.yes)
        no = self.scoped(node.no) if node.no else None

        def run(m: Machine) -> None:
            before = m.mask
            a, b = m.branch(line, condition(m))
            if b is NOBODY:
                return yes(m)
            if a is NOBODY:
                return no(m) if no else None
            m.mask = a
            yes(m)
            left, m.mask = m.mask, b
            if no:
                no(m)
            m.mask = before if left is a and m.mask is b else union(left, m.mask)
            return None

        return run

    def scoped(self, node: syntax.Node) -> Step:
        """A statement with names of its own."""
        self.scopes.append({})
        step = self.statement(node)
        self.scopes.pop()
        return step

    def on_loop(self, node: syntax.Loop) -> Step:
        """A loop that goes on until no lane is left in it."""
        self.scopes.append({})
        start = self.loop_part(node.start)
        test = truth(self.value(node.test), node.line) if node.test else None
        step, body, line = self.loop_part(node.step), self.scoped(node.body), node.line
        self.scopes.pop()
        condition = charged(test, line) if test is not None and test.const is None else None
        if test is not None and test.const is not None and not test.const and node.test_first:
            return start or (lambda m: None)
        once = test is not None and test.const is not None and not test.const
        returns, test_first = has_return(node.body), node.test_first

        def run(m: Machine) -> None:
            before = m.mask
            if start:
                start(m)
            out = NOBODY
            leaving = [NOBODY, NOBODY]
            m.loops.append(leaving)
            for rounds in range(m.max_iterations + 1):
                if condition and (test_first or rounds):
                    m.mask, done = m.branch(line, condition(m))
                    out = union(out, done)
                    if m.mask is NOBODY:
                        break
                elif once and rounds:
                    out = m.mask
                    break
                leaving[1] = NOBODY
                body(m)
                m.mask = union(m.mask, leaving[1])
                if m.mask is NOBODY:
                    break
                if step:
                    step(m)
            else:
                m.fault(
                    EndlessLoop, line, f"a loop does not end within {m.max_iterations} rounds", True
                )
            m.loops.pop()
            m.mask = union(out, leaving[0]) if returns else before

        return run

    def loop_part(self, node: syntax.Node | None) -> Step | None:
        """The start or the step of a loop, None where there is none."""
        if node is None:
            return None
        if isinstance(node, syntax.Block):
            return self.statement(node)
        return charged(self.expression(node, used=False), node.line)

    def on_break(self, node: syntax.Break) -> Step:
        """Take the lanes out of the loop."""
        return self._leave(0)

    def on_continue(self, node: syntax.Continue) -> Step:
        """Take the lanes out of this turn of the loop."""
        return self._leave(1)

    @staticmethod
    def _leave(which: int) -> Step:
        def run(m: Machine) -> None:
            m.loops[-1][which] = union(m.loops[-1][which], m.mask)
            m.mask = NOBODY

        return run

    def on_return(self, node: syntax.Return) -> Step:
        """Take the lanes out of the function, with its value."""
        result = self.results[-1]
        if (node.value is None) != (result == VOID):
            raise SubsetError(node.line, f"a function of type {result} must return that")
        if len(self.active) > 1:
            value = convert(self.value(node.value), result, node.line) if node.value else None
            compute = charged(value, node.line) if value else None

            def leave(m: Machine) -> None:
                if compute:
                    m.calls[-1] = merge(m, compute(m), m.calls[-1])
                m.mask = NOBODY

            return leave

        def end(m: Machine) -> None:
            gone = m.mask
            m.live = m.live.without(gone.lanes)
            m.mask = NOBODY

        return end


def has_return(node: syntax.Node | None) -> bool:
    """Whether lanes can leave the function inside a statement."""
    if isinstance(node, syntax.Return):
        return True
    if isinstance(node, syntax.Block):
        return any(has_return(s) for s in node.body)
    if isinstance(node, syntax.If):
        return has_return(node.yes) or has_return(node.no)
    return isinstance(node, syntax.Loop) and has_return(node.body)
