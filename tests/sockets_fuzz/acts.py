"""What people, modules and programs do at random; each tells what became of it, and who must hear of it."""

from gateway.core.rights import Role
from gateway.core.values import Application
from tests.gateway.core.heart import PASSWORD

from .facts import LIVE_PAGES, PAGES, Actor, Letter, Program
from .raw import RawSocket

KEYS = ("a", "b", "c")


def sees_on_a_live_page(module):
    return lambda actor: actor.page.now in LIVE_PAGES and actor.surely_sees(module)


def is_of(mark):
    return lambda actor: actor.who.mark == mark


def is_on_the_admin_page(actor):
    return actor.is_admin() and actor.page.now == "admin"


def tells_of(module):
    return lambda data: data.get("moduleId") == module.id


# Modules


async def telemetry(world):
    module = world.pick(world.approved())
    if module is None:
        return None
    reading = {world.rng.choice(KEYS): module.mark()}
    sockets = [actor for actor in world.living("module", "node") if actor.who is module]
    if (actor := world.pick(sockets)) is None:
        world.core.telemetry.report(world.core.registry.get(module.id), reading)
    elif actor.kind == "module":
        await actor.socket.say("module.7.telemetry", reading)
    else:
        await actor.socket.say("node.to.instance", {"action": "telemetry", "parameters": reading})
    world.expect("module:telemetry:updated", sees_on_a_live_page(module), tells_of(module))
    return f"{module.id} {reading} over {actor}"


async def event(world):
    actor = world.pick(world.living("module", "node"))
    if actor is not None:
        data = {"what": actor.who.mark()}
        if actor.kind == "module":
            await actor.socket.say("module.7.rang", data)
        else:
            body = {"name": "rang", "data": data}
            await actor.socket.say("node.to.instance", {"action": "event", "parameters": body})
    return actor


async def another_ones_event(world):
    """A module names another in everything it says."""
    actor, other = world.pick(world.living("module", "node")), world.pick(world.modules.values())
    if actor is not None:
        names = {"moduleId": other.id, "id": other.id, "uuid": other.uuid, "sender": other.id, "owner_id": 1}
        await actor.socket.say(f"module.7.{other.id}", names)
        await actor.socket.say("module.register", {"token": other.token[:-1], **names})
        await actor.socket.say("node.to.instance", {"action": "telemetry", "parameters": {}, **names})
        # What it said is its own reading all the same.
        world.modules[actor.who.id].said += 1
    return f"{actor} of {other.id}"


async def come(world):
    """A module connects, over one dialect or the other; the older socket of the dialect ends."""
    module = world.pick(world.modules.values())
    kind = world.rng.choice(["module", "node"])
    actor = Actor(kind, RawSocket(world.url, world.rng.choice(["websocket", "polling"])), module)
    if module.life.now in ("gone", "revoked"):
        actor.kind = "nobody"
    await world.join(actor)
    if kind == "module":
        hello = world.rng.choice(["module.register", "module.connect"])
        await actor.socket.say(hello, {"token": module.token})
    else:
        login = {"action": "login", "parameters": {"token": module.token}}
        await actor.socket.say("node.to.instance", login)
    await actor.socket.synchronized()
    if module.life.now == "approved":
        for older in world.living(kind):
            if older.who is module and older is not actor:
                older.alive.set(False)
    return f"{module.id} {module.life.now} as {kind}"


async def leave(world):
    if (actor := world.pick(world.living("module", "node", "tab", "client", "nobody"))) is not None:
        await actor.socket.close()
        actor.alive.set(False)
    return actor


# Decisions


async def register(world):
    return (await world.newcomer()).id


async def approve(world):
    module = world.pick(one for one in world.modules.values() if one.life.now == "pending")
    if module is None:
        return None
    (outcome,) = await world.core.decisions.approve([module.id], world.an_admin())
    if outcome.error is None:
        module.life.set("approved")
        world.expect("admin:module:updated", is_on_the_admin_page, tells_of(module))
    return module.id


async def reject(world):
    module = world.pick(one for one in world.modules.values() if one.life.now == "pending")
    if module is None:
        return None
    (outcome,) = await world.core.decisions.reject([module.id], world.an_admin())
    if outcome.error is None:
        module.life.set("revoked")
    return module.id


async def revoke(world):
    module = world.pick(world.approved())
    if module is None or len(world.approved()) < 3:
        return None
    await world.core.registry.revoke(module.id, world.an_admin())
    module.life.set("revoked")
    for actor in world.living("module", "node"):
        if actor.who is module:
            actor.alive.set(False)
    return module.id


async def come_back(world):
    """A revoked module enrols again."""
    module = world.pick(one for one in world.modules.values() if one.life.now == "revoked")
    if module is None:
        return None
    again = Application(type=7, serial=module.id)
    granted = await world.core.enrolment.register(again, "10.3.3.3")
    (claim,) = [claim for claim in world.core.registry.claims() if claim.module_id == module.id]
    await world.core.decisions.approve_claim(claim.number, world.an_admin())
    module.token = granted.token
    module.life.set("approved")
    return module.id


async def delete(world):
    module = world.pick(one for one in world.modules.values() if one.life.now != "gone")
    if module is None or (module.life.now == "approved" and len(world.approved()) < 3):
        return None
    await world.core.registry.delete(module.id, world.an_admin())
    module.life.set("gone")
    for actor in world.living("module", "node"):
        if actor.who is module:
            actor.alive.set(False)
    return module.id


async def change_owner(world):
    module = world.pick(world.approved())
    if module is None:
        return None
    old, new = module.owner.now, world.pick(["PxolgaxP", "PxsamxP", "PxidaxP", "PxtomxP", None])
    await world.give(module, new)
    if old != new:
        for word, mark in (("removed", old), ("added", new)):
            world.expect(f"user:module:{word}", is_of(mark), tells_of(module))
    return f"{module.id} from {old} to {new}"


async def claim_by_code(world):
    module = world.pick(one for one in world.approved() if one.owner.now is None)
    claimant = world.pick(one for one in world.people.values() if one.role.now is not None)
    if module is None:
        return None
    code = world.core.ownership.code_of(module.id, world.an_admin())
    await world.core.ownership.claim(code, world.person(claimant.mark), "10.4.4.4")
    module.owner.set(claimant.mark)
    return f"{module.id} by {claimant.mark}"


async def give_up(world):
    module = world.pick(one for one in world.approved() if one.owner.now is not None)
    if module is None or world.people[module.owner.now].role.now is None:
        return None
    await world.core.ownership.release(module.id, world.person(module.owner.now))
    module.owner.set(None)
    return module.id


async def rename(world):
    module = world.pick(world.approved())
    if module is None:
        return None
    await world.core.registry.edit(module.id, world.an_admin(), name=f"{module.mark()} in words")
    if module.owner.lately == {module.owner.now}:
        world.expect("user:module:updated", is_of(module.owner.now), tells_of(module))
    return module.id


async def join_changes(world):
    mode = world.rng.choice(["open", "open", "window"])
    await world.core.joining.set(mode, world.an_admin(), seconds=600, quota=None)
    return mode


# People


async def log_in(world):
    someone = world.pick(one for one in world.people.values() if one.role.now is not None)
    if len(world.living("tab")) > 14:
        return None
    await world.tab(someone.mark)
    world.expect("user:session:new", is_of(someone.mark), lambda data: True)
    return someone.mark


async def log_out(world):
    if (actor := world.pick(world.living("tab"))) is not None:
        await world.core.accounts.sessions.close(actor.session, actor.who.mark)
        actor.alive.set(False)
    return actor


async def role(world):
    """Another role, or locked and unlocked: every session of the person ends."""
    someone = world.pick(one for one in world.people.values() if one.mark != "PxannxP")
    becomes = world.rng.choice(["user", "technician", "admin", None])
    if becomes == someone.role.now:
        return None
    changes = {"active": False} if becomes is None else {"active": True, "role": Role(becomes)}
    boss = world.person("PxannxP")
    await world.core.accounts.people.edit(someone.id, boss, **changes)
    someone.role.set(becomes)
    for actor in world.living("tab"):
        if actor.who is someone:
            actor.alive.set(False)
    return f"{someone.mark} {becomes}"


async def profile(world):
    someone = world.pick(one for one in world.people.values() if one.role.now is not None)
    await world.core.accounts.people.edit(someone.id, world.person(someone.mark), name=f"{someone.mark} anew")
    return someone.mark


async def password(world):
    someone = world.pick(one for one in world.people.values() if one.role.now is not None)
    await world.core.accounts.people.set_password(someone.id, PASSWORD, world.person(someone.mark))
    world.expect("user:security:password_changed", is_of(someone.mark), lambda data: True)
    return someone.mark


async def maintenance(world):
    on = not world.core.maintenance.state.on
    await world.core.maintenance.set(on, "spring cleaning", world.an_admin())
    world.expect("system:maintenance", lambda actor: True, lambda data: data["inMaintenance"] is on)
    return on


# Tabs


async def page(world):
    if (actor := world.pick(world.living("tab", "nobody"))) is None:
        return None
    page = world.rng.choice(PAGES)
    how = world.rng.choice(["register_page", "client:page:changed", "client:authenticate"])
    actor.page.set(page[:64])
    await actor.socket.say(how, {"page": page})
    return f"{actor} {how}"


async def ask(world):
    """Everything that can be asked, by whoever it is."""
    if (actor := world.pick(world.actors)) is None or actor.kind in ("module", "node"):
        return None
    ids = [module.id for module in world.modules.values()]
    question = world.rng.choice([
        ("modules:watch", {}), ("modules:watch", {}), ("modules:watch", {"ids": ids}),
        ("client:sync:request",), ("request_module_states",), ("request_stats",),
        ("client:authenticate", {"userId": 1, "userType": "admin", "page": "admin"}),
        ("modules:watch", {"since": 0}), ("modules:watch", {"since": 10**15}),
    ])  # fmt: skip
    if question[0] == "client:authenticate" and actor.kind == "tab":
        actor.page.set("admin")
    if question[0] == "modules:watch":
        actor.view, actor.wanted = None, frozenset(question[1].get("ids", ()))
    await actor.socket.say(*question)
    return f"{actor} {question[0]}"


async def command(world):
    """By whoever it is, of whichever module it is, named as he likes."""
    actor = world.pick(world.living("tab", "nobody", "client", "module"))
    module = world.pick(world.modules.values())
    if actor is None:
        return None
    name = world.rng.choice([module.id.lower(), str(module.number), module.uuid.upper(), module.id])
    may = actor.kind == "tab" and actor.sees(module)
    if not may and name == module.id:
        name = name.lower()
    # Whoever may not see the module would be told of his own words.
    values = {"x": module.mark()} if may else {"x": 1}
    order = {"moduleId": name, "command": "set", "params": {"values": values}}
    order |= {"by": "PxannxP", "role": "admin", "userId": 1}
    await actor.socket.say(world.rng.choice(["send_module_command", "module_command"]), order)
    return f"{actor} {name} {may}"


# Programs


async def new_program(world):
    if len(world.programs) > 5:
        return None
    program = await world.program()
    actor = Actor("client", RawSocket(world.url, world.rng.choice(["websocket", "polling"])), program)
    await world.join(actor)
    await actor.socket.say("client.to.instance", {"action": "login", "parameters": {"token": program.token}})
    return program.mark


async def give_program(world):
    program = world.pick(one for one in world.programs if one.here.now)
    if program is None:
        return None
    new = world.pick(["PxolgaxP", "PxsamxP", None])
    await world.core.clients.give(program.number, world.people[new].id if new else None, world.an_admin())
    program.owner.set(new)
    return f"{program.mark} to {new}"


async def remove_program(world):
    program = world.pick(one for one in world.programs if one.here.now)
    if program is None:
        return None
    await world.core.clients.remove(program.number, world.an_admin())
    program.here.set(False)
    for actor in world.living("client"):
        if actor.who is program:
            actor.alive.set(False)
    return program.mark


async def list_nodes(world):
    if (actor := world.pick(world.living("client"))) is not None:
        await actor.socket.say(
            "client.to.instance", {"action": "updateNodeList", "parameters": {"to": "all"}}
        )
    return actor


async def write(world):
    """A program writes to a module or a module to a program, and puts another sender on it."""
    actor = world.pick(world.living("client", "node"))
    to = world.pick(world.modules.values() if actor and actor.kind == "client" else world.programs)
    if actor is None or to is None:
        return None
    mark = f"L{next(world.numbers)}L"
    world.letters[mark] = Letter(mark, to)
    names = [to.number] if isinstance(to, Program) else [to.id.lower(), to.number, to.uuid.upper()]
    recipient = world.rng.choice(names)
    action = world.rng.choice(["forward", "queue"])
    body = {"recipient": recipient, "parameters": {"text": mark}, "sender": 1}
    up = "client.to.instance" if actor.kind == "client" else "node.to.instance"
    await actor.socket.say(up, {"action": action, "parameters": body, "sender": 1})
    return f"{actor} {action} {mark} to {recipient}"


ACTS = (
    [telemetry] * 8 + [event] * 2 + [another_ones_event, leave, join_changes] + [come] * 4 + [register] * 2
    + [approve] * 3 + [reject, revoke, delete] + [come_back] * 2 + [change_owner] * 5
    + [claim_by_code, give_up] + [rename] * 2 + [log_in] * 4 + [log_out, role, profile, password, maintenance]
    + [page] * 6 + [ask] * 6 + [command] * 5 + [new_program] * 2 + [give_program] * 2 + [remove_program]
    + [list_nodes] * 2 + [write] * 4
)  # fmt: skip
