# SPDX-License-Identifier: MIT
"""kill -- kill -9 at random moments"""
from fault import fault
from tree import same_tree
from verbs import MIB, download, nothing_left, seconds, share, staged


@fault("kill-client", short=2)
def kill_client(round):
    """kill -9 of the client, several times, then the same command to its end"""
    anna, bert = round.hosts(limit="1gbit")
    tree = round.tree()
    words = anna.address, share(anna, tree).port, "tree"
    for _ in range(round.random.randint(1, 3)):
        p = bert.spawn("lanyard", "download", "--json", *words)
        goal = staged(bert, "tree") + round.random.randrange(1, 20 * MIB)
        p.wait_for(lambda: staged(bert, "tree") >= goal, f"{goal} staged bytes", seconds(30))
        p.kill()
        p.wait()
        round.count("kills")
        assert not (bert / "tree").exists()
    download(bert, *words).ok()
    same_tree(tree, bert / "tree")
    nothing_left(bert, "tree")
