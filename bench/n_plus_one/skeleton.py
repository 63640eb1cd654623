"""The label key of a statement: literals, parameters and IN lists become `?`, white space folds, lower case."""

import re


def skeleton(sql):
    s = sql.replace("/*, ... */", ", $1")  # PostgreSQL 18: a list of two values or more
    s = re.sub(r"/\*.*?\*/", " ", s, flags=re.S)
    s = re.sub(r"'(?:[^']|'')*'(::[a-z ]+)?", "?", s)
    s = re.sub(r"%\([a-z0-9_]+\)s(::[a-z ]+?(?=[),\s]|$))?|%s|\$\d+|:\w+__\d+", "?", s, flags=re.I)
    s = re.sub(r"(?<![\w\"])-?\d+(\.\d+)?(?![\w\"])", "?", s)
    s = re.sub(r"\?::\w+(\[\])?", "?", s)
    s = re.sub(r"\bin\s*\(\s*\?\s*\)", "= ?", s, flags=re.I)  # one value: the server sees an equality
    s = re.sub(r"\(\s*\?(\s*,\s*\?)*\s*\)", "(?)", s)
    s = re.sub(r"\(\?\)(\s*,\s*\(\?\))+", "(?)", s)  # rows of VALUES
    return re.sub(r"\s+", " ", s).strip().rstrip(";").lower()
