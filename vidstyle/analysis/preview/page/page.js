"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const $ = (id) => document.getElementById(id);
  const SVG = "http://www.w3.org/2000/svg";
  const state = { look: 0, view: 0, stop: data.stops.length - 1, wipe: 50 };
  const clip = data.clip;
  const jpeg = (text) => `data:image/jpeg;base64,${text}`;
  const percent = (share) => `${Math.round(share * 100)} %`;

  function make(tag, className, text) {
    const element = document.createElement(tag);
    if (className) element.className = className;
    if (text !== undefined) element.textContent = text; // never markup: names come from files
    return element;
  }

  function draw(parent, tag, attributes, text) {
    const element = document.createElementNS(SVG, tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    if (text !== undefined) element.textContent = text;
    parent.append(element);
    return element;
  }

  function clock(seconds) {
    const tenths = Math.round(seconds * 10);
    const rest = String(Math.floor(tenths / 10) % 60).padStart(2, "0");
    return `${Math.floor(tenths / 600)}:${rest}.${tenths % 10}`;
  }

  /* A group of choices: native radio buttons, so arrows, tab and screen readers work as everywhere. */
  function choices(parent, name, items, chosen, onChange) {
    return items.map((item, number) => {
      const label = make("label", item.className);
      const input = make("input");
      Object.assign(input, { type: "radio", name, value: number, checked: number === chosen });
      input.addEventListener("change", () => onChange(number));
      label.append(input, ...item.content);
      parent.append(label);
      return input;
    });
  }

  function picture(alt) {
    const image = make("img");
    image.alt = alt;
    image.draggable = false;
    return image;
  }

  /* ---- the stage: source beneath, look above, cut off at the wipe ---- */
  const stills = { before: picture("Source"), after: picture("Look") };
  $("before").append(stills.before);
  $("after").append(stills.after);

  function setWipe(value) {
    state.wipe = Math.min(100, Math.max(0, value));
    $("stage").style.setProperty("--wipe", `${state.wipe}%`);
    const shown = Math.round(state.wipe);
    $("wipe").setAttribute("aria-valuenow", shown);
    $("wipe").setAttribute("aria-valuetext", `${shown} % source, ${100 - shown} % ${data.looks[state.look].name}`);
    $("before-tag").classList.toggle("off", state.wipe < 12);
    $("after-tag").classList.toggle("off", state.wipe > 88);
  }

  function wipeTo(event) {
    const box = $("stage").getBoundingClientRect();
    setWipe((100 * (event.clientX - box.left)) / box.width);
  }

  $("stage").addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    $("stage").setPointerCapture(event.pointerId);
    wipeTo(event);
    $("wipe").focus({ preventScroll: true, focusVisible: false });
    event.preventDefault();
  });
  $("stage").addEventListener("pointermove", (event) => {
    if ($("stage").hasPointerCapture(event.pointerId)) wipeTo(event);
  });
  const STEPS = { ArrowLeft: -2, ArrowDown: -2, ArrowRight: 2, ArrowUp: 2, PageDown: -10, PageUp: 10 };
  $("wipe").addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    if (event.key in STEPS) setWipe(state.wipe + STEPS[event.key] * (event.shiftKey ? 5 : 1));
    else if (event.key === "Home") setWipe(0);
    else if (event.key === "End") setWipe(100);
    else if (event.key === " " && isMoving()) toggle();
    else return;
    event.preventDefault();
  });

  /* ---- clips: every look has its video; one of them runs in step with the source's ---- */
  const videos = new Map();
  let playing = false;
  let source = null;

  const isMoving = () => clip !== null && state.view === 0;

  function video(key, packed, layer) {
    if (videos.has(key)) return videos.get(key);
    const bytes = Uint8Array.from(atob(packed), (letter) => letter.charCodeAt(0));
    const element = make("video");
    Object.assign(element, { muted: true, playsInline: true, preload: "auto", disablePictureInPicture: true });
    element.tabIndex = -1;
    element.addEventListener("error", broken);
    element.addEventListener("loadeddata", () => { if (element !== source) inStep(); });
    element.src = URL.createObjectURL(new Blob([bytes], { type: "video/mp4" }));
    layer.append(element);
    videos.set(key, element);
    return element;
  }

  const current = () => videos.get(state.look);

  function broken() {
    $("broken").hidden = !isMoving();
    $("broken").textContent = "This browser cannot play H.264 video. The stills below show the same looks.";
    pause();
  }

  function inStep() {
    const look = current();
    if (look && Math.abs(look.currentTime - source.currentTime) > 0.001) look.currentTime = source.currentTime;
  }

  function play() {
    playing = true;
    if (source.ended || source.currentTime >= clip.seconds - 0.05) source.currentTime = 0;
    inStep();
    Promise.all([source.play(), current().play()]).catch(() => {}); // a pause that comes first is no fault
    showTransport();
    requestAnimationFrame(follow);
  }

  function pause() {
    playing = false;
    for (const element of videos.values()) { element.pause(); element.playbackRate = 1; }
    if (source) inStep();
    showTransport();
  }

  const toggle = () => (playing ? pause() : play());

  /* The look follows the source: small drift by running a little faster or slower, more by a jump. */
  function follow() {
    if (!playing) return;
    const look = current();
    if (source.ended || look.ended) {
      source.currentTime = look.currentTime = 0;
      Promise.all([source.play(), look.play()]).catch(() => {});
    } else if (!look.seeking && !source.seeking && look.readyState > 1) {
      if (look.paused) look.play().catch(() => {});
      const drift = look.currentTime - source.currentTime;
      if (Math.abs(drift) > 0.09) look.currentTime = source.currentTime;
      look.playbackRate = Math.abs(drift) < 0.012 ? 1 : Math.min(1.15, Math.max(0.85, 1 - 2 * drift));
    }
    showTime();
    requestAnimationFrame(follow);
  }

  function seek(seconds) {
    source.currentTime = Math.min(Math.max(seconds, 0), Math.max(clip.seconds - 0.04, 0));
    inStep();
    showTime();
  }

  function showTransport() {
    const button = $("play");
    button.setAttribute("aria-pressed", playing);
    button.lastElementChild.textContent = playing ? "Pause" : "Play";
    button.querySelector("path").setAttribute("d", playing ? "M3.5 2.5h3v11h-3zM9.5 2.5h3v11h-3z" : "M4 2.5v11l9-5.5z");
  }

  function showTime() {
    const now = source ? source.currentTime : 0;
    $("seek").value = now;
    const scene = clip.starts.filter((start) => start.at <= now + 0.001).pop() || clip.starts[0];
    const [head, tail] = [scene.label.split(":"), now - scene.at];
    const began = head.reduce((sum, part) => sum * 60 + Number(part), 0);
    $("clock").textContent = `${clock(began + tail)} in the clip`;
    $("seek").setAttribute("aria-valuetext", `${clock(now)} of ${clock(clip.seconds)}`);
    moveCursor(now);
  }

  if (clip) {
    Object.assign($("seek"), { max: clip.seconds, step: 0.02 });
    for (const start of clip.starts.slice(1)) {
      const mark = make("i");
      mark.style.left = `${(100 * start.at) / clip.seconds}%`;
      $("marks").append(mark);
    }
    $("seek").addEventListener("input", () => seek(Number($("seek").value)));
    $("play").addEventListener("click", toggle);
  }

  /* ---- what is shown ---- */
  const views = [...(clip ? [null] : []), ...data.stills];
  const still = () => views[state.view] || data.stills[Math.floor(data.stills.length / 2)];
  const cards = data.looks.map((look) => picture(look.name));

  function showView() {
    const moving = isMoving();
    const shown = still();
    data.looks.forEach((look, number) => { cards[number].src = jpeg(shown.looks[number][data.stops.length - 1]); });
    stills.before.src = jpeg(shown.source);
    stills.before.hidden = stills.after.hidden = moving;
    $("transport").hidden = !moving;
    $("strength").hidden = moving;
    $("broken").hidden = true;
    if (!moving && playing) pause();
    showLook();
  }

  function showLook() {
    const look = data.looks[state.look];
    const moving = isMoving();
    if (moving) {
      source = video("source", clip.source, $("before"));
      video(state.look, clip.looks[state.look], $("after"));
      if (source.error || current().error) broken();
      if (playing) play(); else inStep();
      showTime();
    } else {
      stills.after.src = jpeg(still().looks[state.look][state.stop]);
    }
    for (const [key, element] of videos) {
      const used = moving && (key === "source" || key === state.look);
      element.hidden = !used;
      if (!used) element.pause();
    }
    const stop = moving ? 1 : data.stops[state.stop];
    $("after-tag").textContent = stop < 1 ? `${look.name}, ${percent(stop)}` : look.name;
    $("name").textContent = look.name;
    $("summary").textContent = look.summary;
    const words = [...look.command, ...(stop < 1 ? ["--strength", String(stop)] : [])];
    // Short words stay whole where the line is broken; what is copied has one space between two of them.
    $("command").replaceChildren(...words.flatMap((word, number) => [number ? " " : "", make(word.length < 24 ? "span" : "bdi", "", word)]));
    about(look);
    setWipe(state.wipe);
    showPlot();
  }

  function about(look) {
    const rows = [["Kind", look.family]];
    if (look.flicker !== null) rows.push(["Flicker", `${look.flicker.toFixed(2)} × that of the source`]);
    if (look.recommended < 1) rows.push(["Strength 1", `is ${percent(look.recommended)} of the look, as its author recommends`]);
    if (look.licence) rows.push(["Licence", look.licence]);
    if (look.provenance) rows.push(["Learned from", look.provenance]);
    $("about").replaceChildren(...rows.flatMap(([name, value]) => [make("dt", "", name), make("dd", "", value)]));
  }

  async function copy() {
    const text = $("command").textContent;
    let done = false;
    try {
      await navigator.clipboard.writeText(text);
      done = true;
    } catch { // not allowed here: the old way
      getSelection().selectAllChildren($("command"));
      done = document.execCommand("copy");
    }
    $("copy").textContent = done ? "Copied" : "Select it";
    setTimeout(() => { $("copy").textContent = "Copy"; }, 1600);
  }
  $("copy").addEventListener("click", copy);

  /* ---- E_warp over time ---- */
  let cursor = null;
  let across = () => 0;

  function showPlot() {
    if (!clip || !clip.times.length) return;
    const width = Math.max($("plot").clientWidth, 200);
    const height = $("plot").clientHeight || 190;
    const [left, right, top, bottom] = [34, 6, 8, 22];
    const values = clip.warp.flat().filter((value) => value !== null).map((value) => value * 1000).sort((a, b) => a - b);
    // One frame of flash must not flatten all others.
    const most = Math.min(values[values.length - 1] || 1, 2.5 * (values[Math.floor(values.length * 0.97)] || 1)) || 1;
    across = (seconds) => left + (seconds / clip.seconds) * (width - left - right);
    const down = (value) => height - bottom - (Math.min(value, most) / most) * (height - top - bottom);
    const svg = document.createElementNS(SVG, "svg");
    svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    svg.setAttribute("role", "img");
    svg.setAttribute("aria-label", "Flicker over time. " + data.looks.filter((look) => look.flicker !== null)
      .map((look) => `${look.name}: ${look.flicker.toFixed(2)} times the source`).join(", "));
    const step = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100].find((size) => most / size <= 4.5) || 200;
    for (let value = 0; value <= most; value += step) {
      draw(svg, "line", { class: "grid", x1: left, x2: width - right, y1: down(value), y2: down(value) });
      draw(svg, "text", { x: left - 6, y: down(value) + 4, "text-anchor": "end" }, String(Number(value.toPrecision(3))));
    }
    clip.starts.forEach((start, number) => {
      if (number) draw(svg, "line", { class: "cut", x1: across(start.at), x2: across(start.at), y1: top, y2: height - bottom });
      const next = number + 1 < clip.starts.length ? clip.starts[number + 1].at : clip.seconds;
      if (across(next) - across(start.at) > 44) draw(svg, "text", { x: across(start.at) + 3, y: height - 6 }, start.label);
    });
    const order = clip.warp.map((_, number) => number).sort((a, b) => (a === state.look + 1) - (b === state.look + 1));
    for (const number of order) {
      let path = "";
      clip.warp[number].forEach((value, place) => {
        const joins = place > 0 && clip.warp[number][place - 1] !== null;
        if (value !== null) path += `${joins ? "L" : "M"}${across(clip.times[place]).toFixed(1)} ${down(value * 1000).toFixed(1)}`;
      });
      const kind = number === 0 ? "source" : `k${(number - 1) % 8}${number === state.look + 1 ? " on" : ""}`;
      draw(svg, "path", { class: kind, d: path });
    }
    cursor = draw(svg, "line", { class: "now", y1: top, y2: height - bottom });
    $("plot").replaceChildren(svg);
    moveCursor(source ? source.currentTime : 0);
    $("legend").replaceChildren(...["source", ...data.looks.map((look) => look.name)].map((name, number) => {
      const item = make("span", number === state.look + 1 ? "on" : "");
      const key = draw(item, "svg", { viewBox: "0 0 18 4", "aria-hidden": "true" });
      const kind = number ? `k${(number - 1) % 8}` : "";
      draw(key, "line", { class: kind, x1: 0, x2: 18, y1: 2, y2: 2, "stroke-width": 3, ...(number ? {} : { stroke: "currentColor", "stroke-dasharray": "4 3" }) });
      const look = number ? data.looks[number - 1] : null;
      item.append(look && look.flicker !== null ? `${name} ${look.flicker.toFixed(2)} ×` : name);
      return item;
    }));
  }

  function moveCursor(seconds) {
    if (cursor === null) return;
    cursor.setAttribute("x1", across(seconds));
    cursor.setAttribute("x2", across(seconds));
  }

  $("plot").addEventListener("click", (event) => {
    const box = $("plot").getBoundingClientRect();
    const share = (event.clientX - box.left - across(0)) / (across(clip.seconds) - across(0));
    if (!isMoving()) radios[0].click();
    seek(share * clip.seconds);
  });
  new ResizeObserver(showPlot).observe($("plot"));

  /* ---- put together ---- */
  $("title").textContent = data.title;
  $("facts").append(...data.facts.map((fact) => make("span", "", fact.replace(" x ", " × "))));
  $("stage").style.setProperty("--ratio", data.size[0] / data.size[1]);
  $("calm").hidden = !clip || !clip.times.length;
  choices($("looks"), "look", data.looks.map((look, number) => ({ content: [cards[number], make("span", "", look.name)] })), 0, (number) => {
    state.look = number;
    showLook();
  });
  const stopsLabel = make("b", "", "Strength");
  stopsLabel.setAttribute("aria-hidden", "true");
  $("strength").append(stopsLabel);
  choices($("strength"), "strength", data.stops.map((stop) => ({ content: [make("span", "", percent(stop))] })), state.stop, (number) => {
    state.stop = number;
    showLook();
  });
  const first = clip ? 1 : 0; // a still: nothing moves before somebody asks for it
  const radios = choices($("strip"), "view", views.map((view) => {
    const image = picture(view ? `Still at ${view.label}` : "Moving excerpts");
    image.src = jpeg((view || data.stills[0]).source);
    return { className: view ? "" : "moving", content: [image, make("span", "", view ? view.label : "▶ Moving")] };
  }), first, (number) => {
    const wasMoving = isMoving();
    state.view = number;
    showView();
    if (isMoving() && !wasMoving && !matchMedia("(prefers-reduced-motion: reduce)").matches) play();
  });
  $("strip").hidden = views.length < 2;
  state.view = first;
  const shape = clip ? `, moving ones at ${clip.size.join(" × ")}` : "";
  const notes = [...data.notes, `Pictures are shown at ${data.size.join(" × ")}${shape}. At full size a look keeps its character, and lines and grain are finer.`, data.made];
  $("notes").append(...notes.map((note) => make("p", "", note)));
  showView();
})();
