/* A picture: whole at first, then closer with two fingers, double touch, wheel or the dock. Several make a gallery: a
   finger's sweep or the strip of small pictures goes from one to the next. */
(function () {
  'use strict';
  var BBT = window.BBT;
  var h = BBT.h, t = BBT.t;
  var MOST = 8;
  var STEP = 1.4;

  /* The pictures of `list` ({url, small, title}), `at` first; onpick(index) where each has an address of its own. */
  BBT.gallery = function (context, list, at, onpick) {
    var img = h('img', { 'class': 'picture-img', alt: list[at].title || '', draggable: 'false' });
    var el = h('div', { 'class': 'picture' }, [img]);
    var value = h('span', { 'class': 'tool-value' });
    var strip = list.length > 1 ? h('div', { 'class': 'seek gallery', role: 'listbox', 'aria-label': t('gallery.title') }) : null;
    /* scale 1 is "whole"; x and y are the shift of the picture's middle in px. */
    var scale = 1, x = 0, y = 0, fitted = 1, fingers = {}, last = null, tapped = 0, swept = 0;

    function draw() {
      var w = img.naturalWidth * fitted * scale, tall = img.naturalHeight * fitted * scale;
      var freeX = Math.max(0, (w - el.clientWidth) / 2), freeY = Math.max(0, (tall - el.clientHeight) / 2);
      x = BBT.clamp(x, -freeX, freeX);
      y = BBT.clamp(y, -freeY, freeY);
      img.style.width = img.naturalWidth * fitted + 'px';
      img.style.height = img.naturalHeight * fitted + 'px';
      img.style.transform = 'translate(-50%, -50%) translate(' + x + 'px, ' + y + 'px) scale(' + scale + ')';
      value.textContent = t('view.zoom_value', { n: Math.round(scale * 100) });
      BBT.toggle(el, 'picture-zoomed', scale > 1.01);
    }

    function fit() {
      if (!img.naturalWidth) { return; }
      fitted = Math.min(el.clientWidth / img.naturalWidth, el.clientHeight / img.naturalHeight);
      draw();
    }

    /* Zoom so that the point under (px, py), in px of the view, stays where it is. */
    function zoom(to, px, py) {
      var next = BBT.clamp(to, 1, MOST);
      var box = el.getBoundingClientRect();
      var cx = px === undefined ? 0 : px - box.left - box.width / 2;
      var cy = py === undefined ? 0 : py - box.top - box.height / 2;
      x = cx - (cx - x) * next / scale;
      y = cy - (cy - y) * next / scale;
      scale = next;
      draw();
    }

    function pick(to) {
      if (!list[to] || to === at) { return; }
      if (onpick) { onpick(to); return; }
      at = to;
      scale = 1;
      x = y = 0;
      img.src = list[at].url;
      mark();
    }

    function mark() {
      if (!strip) { return; }
      [].forEach.call(strip.children, function (one, i) {
        BBT.toggle(one, 'gallery-on', i === at);
        one.setAttribute('aria-selected', i === at ? 'true' : 'false');
        if (i === at) { strip.scrollLeft = one.offsetLeft - strip.clientWidth / 2 + one.offsetWidth / 2; }
      });
    }

    function gather() {
      var all = Object.keys(fingers).map(function (key) { return fingers[key]; }).slice(0, 2);
      if (!all.length) { return null; }
      if (all.length === 1) { return { x: all[0].x, y: all[0].y, spread: 0 }; }
      return {
        x: (all[0].x + all[1].x) / 2, y: (all[0].y + all[1].y) / 2,
        spread: Math.sqrt(Math.pow(all[0].x - all[1].x, 2) + Math.pow(all[0].y - all[1].y, 2))
      };
    }

    el.addEventListener('pointerdown', function (event) {
      if (el.setPointerCapture) { el.setPointerCapture(event.pointerId); }
      fingers[event.pointerId] = { x: event.clientX, y: event.clientY };
      last = gather();
      swept = 0;
    });
    el.addEventListener('pointermove', function (event) {
      var now;
      if (!fingers[event.pointerId]) { return; }
      fingers[event.pointerId] = { x: event.clientX, y: event.clientY };
      now = gather();
      swept = scale > 1.01 || now.spread ? 0 : swept + now.x - last.x;
      x += now.x - last.x;
      y += now.y - last.y;
      if (now.spread && last.spread) { zoom(scale * now.spread / last.spread, now.x, now.y); } else { draw(); }
      last = now;
    });
    function lift(event) {
      delete fingers[event.pointerId];
      last = gather();
    }
    el.addEventListener('pointerup', function (event) {
      var quick = event.timeStamp - tapped < 350;
      lift(event);
      if (Math.abs(swept) > el.clientWidth * 0.12) {
        pick(at + (swept < 0 ? 1 : -1));
        tapped = 0;
        return;
      }
      tapped = quick ? 0 : event.timeStamp;
      if (quick) { zoom(scale > 1.01 ? 1 : 2.5, event.clientX, event.clientY); }
    });
    el.addEventListener('pointercancel', lift);
    el.addEventListener('wheel', function (event) {
      event.preventDefault();
      zoom(scale * (event.deltaY < 0 ? 1.15 : 1 / 1.15), event.clientX, event.clientY);
    });
    img.addEventListener('load', fit);
    img.addEventListener('error', function () { context.fail(null, 'PICTURE'); });
    window.addEventListener('resize', fit);

    if (strip) {
      list.forEach(function (one, i) {
        strip.appendChild(h('button', {
          type: 'button', role: 'option', 'class': 'gallery-one', 'aria-label': one.title || String(i + 1), onclick: function () { pick(i); }
        }, [h('img', { src: one.small || one.url, alt: '', draggable: 'false' })]));
      });
    }

    return {
      el: el, seek: strip,
      tools: [
        BBT.button({ icon: 'minus', label: t('view.zoom_out'), onclick: function () { zoom(scale / STEP); } }),
        value,
        BBT.button({ icon: 'plus', label: t('view.zoom_in'), onclick: function () { zoom(scale * STEP); } }),
        BBT.button({ icon: 'fit', text: t('view.fit'), onclick: function () { zoom(1); } })
      ],
      mounted: function () {
        img.src = list[at].url;
        mark();
      },
      key: function (event) {
        switch (event.key) {
          case '+': case '=': zoom(scale * STEP); return true;
          case '-': zoom(scale / STEP); return true;
          /* Where each picture is an item, the lesson's order holds, whatever lies between two pictures. */
          case 'ArrowRight': case 'PageDown': if (onpick || !list[at + 1]) { return false; } pick(at + 1); return true;
          case 'ArrowLeft': case 'PageUp': if (onpick || !list[at - 1]) { return false; } pick(at - 1); return true;
          case ' ': if (!list[at + 1] || event.target.tagName === 'BUTTON') { return false; } pick(at + 1); return true;
          default: return false;
        }
      },
      destroy: function () {
        window.removeEventListener('resize', fit);
        img.removeAttribute('src');
      }
    };
  };

  BBT.viewers.image = function (context) {
    var places = [], list = [];
    context.items.forEach(function (item, i) {
      if (item.kind !== 'image') { return; }
      places.push(i);
      list.push({ url: item.url, small: item.thumbnail, title: item.title });
    });
    return BBT.gallery(context, list, places.indexOf(context.index), function (to) { context.go(places[to]); });
  };
}());
