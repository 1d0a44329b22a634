"""The table of node types. A new one is a module and a line here."""

from domain.nodes.flow import LOOP, NOOP, STOP_AND_ERROR, WAIT
from domain.nodes.http import HTTP
from domain.nodes.lists import AGGREGATE, LIMIT, SORT, SPLIT_OUT
from domain.nodes.manual import MANUAL
from domain.nodes.merge import MERGE
from domain.nodes.node_type import NodeType
from domain.nodes.respond import RESPOND
from domain.nodes.routing import FILTER, IF, SWITCH
from domain.nodes.set import SET
from domain.nodes.webhook import WEBHOOK

NODE_TYPES: dict[str, NodeType] = {
    node_type.type: node_type
    for node_type in (
        MANUAL,
        WEBHOOK,
        HTTP,
        SET,
        IF,
        SWITCH,
        FILTER,
        MERGE,
        LOOP,
        SPLIT_OUT,
        AGGREGATE,
        LIMIT,
        SORT,
        NOOP,
        STOP_AND_ERROR,
        RESPOND,
        WAIT,
    )
}
