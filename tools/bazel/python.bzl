"""Python tests run by Debian's python3: Bazel 4's own py_test starts a `python` that Debian does not have."""

def portolan_py_test(name, module, data = [], **kwargs):
    """Runs the unittest cases of a module and reports each of them in the test's XML.

    Args:
      name: the test.
      module: the file, NAME_test.py in the calling package.
      data: py_library targets and files that it needs; imports are by repository path.
      **kwargs: of sh_test (size, tags, ...).
    """
    native.sh_test(
        name = name,
        srcs = ["//tools/bazel:python_test.sh"],
        args = [(native.package_name() + "/" + module)[:-len(".py")].replace("/", ".")],
        data = data + [module, "//tools/bazel:python_test.py"],
        **kwargs
    )
