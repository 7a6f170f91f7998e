"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const $ = (id) => document.getElementById(id);
  const SVG = "http://www.w3.org/2000/svg";
  const state = { style: data.first, view: 0, strength: data.strengths.length - 1, wipe: 50 };
  const video = data.video;
  const jpeg = (text) => `data:image/jpeg;base64,${text}`;
  const percent = (share) => `${Math.round(share * 100)} %`;
  const times = (ratio) => `${ratio.toFixed(ratio < 10 ? 1 : 0)} times`;

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

  /* A group of native radio buttons, so that arrow keys, tab and screen readers work as usual. */
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

  /* ---- the stage: the source below, the styled picture above it, visible to the right of the wipe ---- */
  const stills = { before: picture("Source"), after: picture("Styled") };
  $("before").append(stills.before);
  $("after").append(stills.after);

  function setWipe(value) {
    state.wipe = Math.min(100, Math.max(0, value));
    $("stage").style.setProperty("--wipe", `${state.wipe}%`);
    const shown = Math.round(state.wipe);
    $("wipe").setAttribute("aria-valuenow", shown);
    $("wipe").setAttribute("aria-valuetext", `${shown} % source, ${100 - shown} % ${data.styles[state.style].name}`);
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

  /* ---- videos: one of the source and one of each style; the chosen one plays in sync with the source ---- */
  const videos = new Map();
  let playing = false;
  let source = null;

  const isMoving = () => video !== null && state.view === 0;

  function videoFor(key, base64, layer) {
    if (videos.has(key)) return videos.get(key);
    const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
    const element = make("video");
    Object.assign(element, { muted: true, playsInline: true, preload: "auto", disablePictureInPicture: true });
    element.tabIndex = -1;
    element.addEventListener("error", broken);
    element.addEventListener("loadeddata", () => { if (element !== source) synchronize(); });
    element.src = URL.createObjectURL(new Blob([bytes], { type: "video/mp4" }));
    layer.append(element);
    videos.set(key, element);
    return element;
  }

  const current = () => videos.get(state.style);

  function broken() {
    $("broken").hidden = !isMoving();
    $("broken").textContent = "This browser cannot play H.264 video. The stills below show the same styles.";
    pause();
  }

  function synchronize() {
    const styled = current();
    if (styled && Math.abs(styled.currentTime - source.currentTime) > 0.001) styled.currentTime = source.currentTime;
  }

  function play() {
    playing = true;
    if (source.ended || source.currentTime >= video.seconds - 0.05) source.currentTime = 0;
    synchronize();
    Promise.all([source.play(), current().play()]).catch(() => {}); // rejected where a pause comes first, which is no error
    showTransport();
    requestAnimationFrame(follow);
  }

  function pause() {
    playing = false;
    for (const element of videos.values()) { element.pause(); element.playbackRate = 1; }
    if (source) synchronize();
    showTransport();
  }

  const toggle = () => (playing ? pause() : play());

  /* Keep the styled video in sync: correct a small drift by the playback rate, a larger one by seeking. */
  function follow() {
    if (!playing) return;
    const styled = current();
    if (source.ended || styled.ended) {
      source.currentTime = styled.currentTime = 0;
      Promise.all([source.play(), styled.play()]).catch(() => {});
    } else if (!styled.seeking && !source.seeking && styled.readyState > 1) {
      if (styled.paused) styled.play().catch(() => {});
      const drift = styled.currentTime - source.currentTime;
      if (Math.abs(drift) > 0.09) styled.currentTime = source.currentTime;
      styled.playbackRate = Math.abs(drift) < 0.012 ? 1 : Math.min(1.15, Math.max(0.85, 1 - 2 * drift));
    }
    showTime();
    requestAnimationFrame(follow);
  }

  function seek(seconds) {
    source.currentTime = Math.min(Math.max(seconds, 0), Math.max(video.seconds - 0.04, 0));
    synchronize();
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
    const scene = video.scenes.filter((scene) => scene.start <= now + 0.001).pop() || video.scenes[0];
    $("clock").textContent = `${clock(beganAt(scene) + now - scene.start)} in the clip`;
    $("seek").setAttribute("aria-valuetext", `${clock(now)} of ${clock(video.seconds)}`);
    moveCursor(now);
  }

  if (video) {
    Object.assign($("seek"), { max: video.seconds, step: 0.02 });
    for (const scene of video.scenes.slice(1)) {
      const mark = make("i");
      mark.style.left = `${(100 * scene.start) / video.seconds}%`;
      $("marks").append(mark);
    }
    $("seek").addEventListener("input", () => seek(Number($("seek").value)));
    $("play").addEventListener("click", toggle);
  }

  /* ---- the chosen view and style ---- */
  const views = [...(video ? [null] : []), ...data.stills];
  const still = () => views[state.view] || data.stills[Math.floor(data.stills.length / 2)];
  const cards = data.styles.map((style) => picture(style.name));

  function showView() {
    const moving = isMoving();
    const shown = still();
    data.styles.forEach((style, number) => { cards[number].src = jpeg(shown.styles[number][data.strengths.length - 1]); });
    stills.before.src = jpeg(shown.source);
    stills.before.hidden = stills.after.hidden = moving;
    $("transport").hidden = !moving;
    $("broken").hidden = true;
    if (!moving && playing) pause();
    showStyle();
  }

  function showStyle() {
    const style = data.styles[state.style];
    const moving = isMoving();
    if (moving) {
      source = videoFor("source", video.source, $("before"));
      videoFor(state.style, video.styles[state.style], $("after"));
      if (source.error || current().error) broken();
      if (playing) play(); else synchronize();
      showTime();
    } else {
      stills.after.src = jpeg(still().styles[state.style][state.strength]);
    }
    for (const [key, element] of videos) {
      const used = moving && (key === "source" || key === state.style);
      // A strength is a cross-fade with the source, which lies below: so one video serves for all strengths.
      if (key !== "source") element.style.opacity = data.strengths[state.strength];
      element.hidden = !used;
      if (!used) element.pause();
    }
    const strength = data.strengths[state.strength];
    $("after-tag").textContent = strength < 1 ? `${style.name}, ${percent(strength)}` : style.name;
    $("name").textContent = style.name;
    $("summary").textContent = style.summary;
    const words = [...style.command, ...(strength < 1 ? ["--strength", String(strength)] : [])];
    // Short words are not broken at the end of a line. The copied text has one space between words.
    $("command").replaceChildren(...words.flatMap((word, number) => [number ? " " : "", make(word.length < 24 ? "span" : "bdi", "", word)]));
    about(style);
    setWipe(state.wipe);
    showPlot();
  }

  function about(style) {
    const rows = [["Family", style.family]];
    if (style.calm !== null) rows.push(["Calm", style.flicker === null ? style.calm : `${style.calm} (flicker ${times(style.flicker)} that of the source)`]);
    if (style.recommended < 1) rows.push(["Strength 1", `is ${percent(style.recommended)} of what was learned, as the author recommends`]);
    if (style.licence) rows.push(["License", style.licence]);
    if (style.provenance) rows.push(["Learned from", style.provenance]);
    $("about").replaceChildren(...rows.flatMap(([name, value]) => [make("dt", "", name), make("dd", "", value)]));
  }

  async function copy() {
    const text = $("command").textContent;
    let done = false;
    try {
      await navigator.clipboard.writeText(text);
      done = true;
    } catch { // not allowed here: select the text and use the old command
      getSelection().selectAllChildren($("command"));
      done = document.execCommand("copy");
    }
    $("copy").textContent = done ? "Copied" : "Press Ctrl+C";
    setTimeout(() => { $("copy").textContent = "Copy"; }, 1600);
  }
  $("copy").addEventListener("click", copy);

  /* ---- E_warp over time ---- */
  let cursor = null;
  let across = () => 0;

  const beganAt = (scene) => scene.label.split(":").reduce((sum, part) => sum * 60 + Number(part), 0);

  /* Where the axis of time has ticks: [place, time in the clip or ""]. Every excerpt begins at a time of its own. */
  function ticks(left, right) {
    const wide = (right - left) / video.seconds; // pixels a second
    const step = [0.5, 1, 2, 5, 10, 20, 30, 60].find((seconds) => seconds * wide >= 22) || 120;
    const found = [];
    let free = left;
    video.scenes.forEach((scene, number) => {
      const begin = beganAt(scene);
      const end = number + 1 < video.scenes.length ? video.scenes[number + 1].start : video.seconds;
      for (let time = Math.ceil(begin / step - 0.01) * step; scene.start + time - begin < end - 0.01; time += step) {
        const at = across(scene.start + Math.max(time - begin, 0));
        const fits = at >= free && at + 16 <= right + 6;
        found.push([at, fits ? (step < 1 ? clock(time) : clock(time).slice(0, -2)) : ""]);
        if (fits) free = at + 52;
      }
    });
    return found;
  }

  function showPlot() {
    if (!video || !video.times.length) return;
    const width = Math.max($("plot").clientWidth, 200);
    const height = $("plot").clientHeight || 190;
    const [left, right, top, bottom] = [34, 6, 8, 22];
    const values = video.warping_error.flat().filter((value) => value !== null).map((value) => value * 1000).sort((a, b) => a - b);
    // A single flash must not flatten the rest of the plot.
    const most = Math.min(values[values.length - 1] || 1, 2.5 * (values[Math.floor(values.length * 0.97)] || 1)) || 1;
    across = (seconds) => left + (seconds / video.seconds) * (width - left - right);
    const down = (value) => height - bottom - (Math.min(value, most) / most) * (height - top - bottom);
    const svg = document.createElementNS(SVG, "svg");
    svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    svg.setAttribute("role", "img");
    svg.setAttribute("aria-label", "Flicker over time. " + data.styles.filter((style) => style.calm !== null)
      .map((style) => `${style.name}: ${style.calm}`).join(", "));
    const step = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100].find((size) => most / size <= 4.5) || 200;
    for (let value = 0; value <= most; value += step) {
      draw(svg, "line", { class: "grid", x1: left, x2: width - right, y1: down(value), y2: down(value) });
      draw(svg, "text", { x: left - 6, y: down(value) + 4, "text-anchor": "end" }, String(Number(value.toPrecision(3))));
    }
    video.scenes.forEach((scene, number) => {
      if (number) draw(svg, "line", { class: "cut", x1: across(scene.start), x2: across(scene.start), y1: top, y2: height - bottom });
    });
    for (const [at, label] of ticks(left, width - right)) {
      draw(svg, "line", { class: "tick", x1: at, x2: at, y1: height - bottom, y2: height - bottom + (label ? 6 : 4) });
      if (label) draw(svg, "text", { x: at, y: height - 4, "text-anchor": "middle" }, label);
    }
    draw(svg, "line", { class: "axis", x1: left, x2: width - right, y1: height - bottom, y2: height - bottom });
    const order = video.warping_error.map((_, number) => number).sort((a, b) => (a === state.style + 1) - (b === state.style + 1));
    for (const number of order) {
      let path = "";
      video.warping_error[number].forEach((value, place) => {
        const joins = place > 0 && video.warping_error[number][place - 1] !== null;
        if (value !== null) path += `${joins ? "L" : "M"}${across(video.times[place]).toFixed(1)} ${down(value * 1000).toFixed(1)}`;
      });
      const kind = number === 0 ? "source" : `k${(number - 1) % 8}${number === state.style + 1 ? " on" : ""}`;
      draw(svg, "path", { class: kind, d: path });
    }
    cursor = draw(svg, "line", { class: "now", y1: top, y2: height - bottom });
    $("plot").replaceChildren(svg);
    moveCursor(source ? source.currentTime : 0);
    $("legend").replaceChildren(...["source", ...data.styles.map((style) => style.name)].map((name, number) => {
      const item = make("span", number === state.style + 1 ? "on" : "");
      const key = draw(item, "svg", { viewBox: "0 0 18 4", "aria-hidden": "true" });
      const kind = number ? `k${(number - 1) % 8}` : "";
      draw(key, "line", { class: kind, x1: 0, x2: 18, y1: 2, y2: 2, "stroke-width": 3, ...(number ? {} : { stroke: "currentColor", "stroke-dasharray": "4 3" }) });
      const style = number ? data.styles[number - 1] : null;
      item.append(style && style.calm !== null ? `${name}: ${style.calm}` : name);
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
    const share = (event.clientX - box.left - across(0)) / (across(video.seconds) - across(0));
    if (!isMoving()) radios[0].click();
    seek(share * video.seconds);
  });
  new ResizeObserver(showPlot).observe($("plot"));

  /* ---- set up the page ---- */
  $("title").textContent = data.title;
  $("details").append(...data.details.map((detail) => make("span", "", detail.replace(" x ", " × "))));
  $("stage").style.setProperty("--ratio", data.size[0] / data.size[1]);
  $("flicker").hidden = !video || !video.times.length;
  choices($("styles"), "style", data.styles.map((style, number) => ({ content: [cards[number], make("span", "", style.name)] })), state.style, (number) => {
    state.style = number;
    showStyle();
  });
  const strengthLabel = make("b", "", "Strength");
  strengthLabel.setAttribute("aria-hidden", "true");
  $("strength").append(strengthLabel);
  choices($("strength"), "strength", data.strengths.map((strength) => ({ content: [make("span", "", percent(strength))] })), state.strength, (number) => {
    state.strength = number;
    showStyle();
  });
  const first = video ? 1 : 0; // begin with a still: nothing plays before it is asked for
  const radios = choices($("strip"), "view", views.map((view) => {
    const image = picture(view ? `Still at ${view.label}` : "Video of excerpts");
    image.src = jpeg((view || data.stills[0]).source);
    return { className: view ? "" : "moving", content: [image, make("span", "", view ? view.label : "▶ Video")] };
  }), first, (number) => {
    const wasMoving = isMoving();
    state.view = number;
    showView();
    if (isMoving() && !wasMoving && !matchMedia("(prefers-reduced-motion: reduce)").matches) play();
  });
  $("strip").hidden = views.length < 2;
  state.view = first;
  const shape = video ? `, the video at ${video.size.join(" × ")}` : "";
  const notes = [...data.notes, `Stills are shown at ${data.size.join(" × ")}${shape} pixels. At full size a style looks the same, with finer lines and grain.`, data.version];
  $("notes").append(...notes.map((note) => make("p", "", note)));
  showView();
})();
