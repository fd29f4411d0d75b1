"""Nodes and the `urd` command for the integration tests: every node a process, everything under one temporary directory."""
import json, os, shutil, signal, subprocess, sys, tempfile, time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("URD_BUILD", os.path.join(ROOT, "build/release"))
URD = os.path.join(BUILD, "urd")
CLEAN = {k: v for k, v in os.environ.items() if not k.startswith("URD_")}

class Answer:
    def __init__(self, code, out, err):
        self.code, self.out, self.err = code, out, err

    def lines(self):
        """Standard output, a JSON object a line."""
        return [json.loads(line) for line in self.out.splitlines()]

    def last(self):
        return self.lines()[-1]

    def error(self):
        return self.last().get("error", {}).get("code")

    def __repr__(self):
        return f"exit {self.code}; out: {self.out[-600:]!r}; err: {self.err[-600:]!r}"

class Node:
    def __init__(self, tmp, name):
        self.name, self.dir, self.process = name, os.path.join(tmp, name), None
        self.log = open(os.path.join(tmp, name + ".log"), "ab")

    def start(self):
        self.process = subprocess.Popen([URD, "node", self.dir], stdout=subprocess.PIPE, stderr=self.log, env=CLEAN)
        line = self.process.stdout.readline().decode()
        if not line.startswith("ready "): raise SystemExit(f"node {self.name} did not become ready: {line!r}; {self.tail()}")
        self.said = dict(word.split("=", 1) for word in line.split()[1:])

    def end(self, sig):
        self.process.send_signal(sig)
        code = self.process.wait(60)
        self.process.stdout.close()
        self.process = None
        return code

    def tail(self):
        with open(self.log.name) as f: return f.read()[-2000:]

class Cluster:
    """`with Cluster("a", "b") as c:` nodes that run and know each other."""
    def __init__(self, *names, init=()):
        self.tmp = tempfile.mkdtemp(prefix="urd-test.")
        self.nodes = {n: Node(self.tmp, n) for n in names}
        self.programs, self.failures, self.init = [], [], init

    def __enter__(self):
        try:
            first = None
            for node in self.nodes.values():
                if first is None:
                    self.must("init", node.dir, "--name", node.name, *self.init)
                    first = node
                else:
                    invite = self.must("invite", home=first.name).out
                    self.must("init", node.dir, "--name", node.name, "--join", "-", *self.init, stdin=invite.encode())
                node.start()
            self.until("every node knows the others", lambda: all(
                sum(m["connected"] for m in self.must("status", "--json", home=n).last()["members"]) == len(self.nodes) for n in self.nodes))
        except BaseException:
            self.__exit__(*sys.exc_info())
            raise
        return self

    def __exit__(self, *_):
        for p in self.programs:
            if p.poll() is None: p.kill()
            p.wait()
        for node in self.nodes.values():
            if node.process is None: continue
            code = node.end(signal.SIGTERM)
            if code != 0: self.failures.append(f"node {node.name} exited {code} on SIGTERM: {node.tail()}")
        for node in self.nodes.values(): node.log.close()
        if not self.failures: shutil.rmtree(self.tmp)

    def path(self, *parts):
        return os.path.join(self.tmp, *parts)

    def urd(self, *args, home=None, env=None, stdin=b"", timeout=120):
        env = dict(CLEAN, **(env or {}))
        if home is not None: env["URD_HOME"] = self.nodes[home].dir
        p = subprocess.run([URD, *map(str, args)], input=stdin, capture_output=True, env=env, timeout=timeout, cwd=self.tmp)
        return Answer(p.returncode, p.stdout.decode(), p.stderr.decode())

    def must(self, *args, **kw):
        a = self.urd(*args, **kw)
        if a.code != 0: raise SystemExit(f"urd {' '.join(map(str, args))}: {a!r}")
        return a

    def start(self, *argv, home=None, env=None, **kw):
        env = dict(CLEAN, **(env or {}))
        if home is not None: env["URD_HOME"] = self.nodes[home].dir
        p = subprocess.Popen([*map(str, argv)], env=env, cwd=self.tmp, **kw)
        self.programs.append(p)
        return p

    def check(self, what, ok, *seen):
        if not ok:
            self.failures.append(what)
            print(f"FAILED: {what}", *seen, sep="\n  ", flush=True)

    def until(self, what, holds, seconds=20):
        end = time.monotonic() + seconds
        while not holds():
            if time.monotonic() > end: raise SystemExit(f"not within {seconds} s: {what}")
            time.sleep(0.05)

def done(*clusters):
    """The last line of a test, and its exit."""
    count = sum(len(c.failures) for c in clusters)
    print(f"{count} failures")
    sys.exit(1 if count else 0)
