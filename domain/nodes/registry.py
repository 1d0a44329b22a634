"""The table of node types. A new one is a module and a line here."""

from domain.integrations.registry import integration_types
from domain.nodes.code import CODE
from domain.nodes.compare import COMPARE
from domain.nodes.crypto import CRYPTO
from domain.nodes.csv_text import CSV
from domain.nodes.date_time import DATE_TIME
from domain.nodes.error_trigger import ERROR_TRIGGER
from domain.nodes.execute_workflow import EXECUTE_WORKFLOW, EXECUTE_WORKFLOW_TRIGGER
from domain.nodes.flow import LOOP, NOOP, STOP_AND_ERROR
from domain.nodes.html_extract import HTML_EXTRACT
from domain.nodes.http import HTTP
from domain.nodes.lists import AGGREGATE, LIMIT, SORT, SPLIT_OUT
from domain.nodes.manual import MANUAL
from domain.nodes.markdown import MARKDOWN
from domain.nodes.merge import MERGE
from domain.nodes.node_type import NodeType
from domain.nodes.remove_duplicates import REMOVE_DUPLICATES
from domain.nodes.rename_keys import RENAME_KEYS
from domain.nodes.respond import RESPOND
from domain.nodes.routing import FILTER, IF, SWITCH
from domain.nodes.schedule import SCHEDULE
from domain.nodes.set import SET
from domain.nodes.summarize import SUMMARIZE
from domain.nodes.wait import APPROVAL, WAIT
from domain.nodes.webhook import WEBHOOK
from domain.nodes.xlsx import XLSX
from domain.nodes.xml_json import XML

NODE_TYPES: dict[str, NodeType] = {
    node_type.type: node_type
    for node_type in (
        MANUAL,
        WEBHOOK,
        ERROR_TRIGGER,
        EXECUTE_WORKFLOW_TRIGGER,
        EXECUTE_WORKFLOW,
        SCHEDULE,
        HTTP,
        CODE,
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
        SUMMARIZE,
        REMOVE_DUPLICATES,
        RENAME_KEYS,
        COMPARE,
        DATE_TIME,
        HTML_EXTRACT,
        MARKDOWN,
        XML,
        CSV,
        XLSX,
        CRYPTO,
        NOOP,
        STOP_AND_ERROR,
        RESPOND,
        WAIT,
        APPROVAL,
        *integration_types(),
    )
}

PACKAGES: dict[str, str] = {}
"""Of the types that other packages brought along: which package, with its version."""
