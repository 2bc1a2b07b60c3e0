/* A picture: whole at first, then closer with two fingers, double touch, wheel or the dock. */
(function () {
  'use strict';
  var BBT = window.BBT;
  var h = BBT.h, t = BBT.t;
  var MOST = 8;
  var STEP = 1.4;

  BBT.viewers.image = function (context) {
    var img = h('img', { 'class': 'picture-img', alt: context.item.title, draggable: 'false' });
    var el = h('div', { 'class': 'picture' }, [img]);
    var value = h('span', { 'class': 'tool-value' });
    /* scale 1 is "whole"; x and y are the shift of the picture's middle in px. */
    var scale = 1, x = 0, y = 0, fitted = 1, fingers = {}, last = null, tapped = 0;

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

    function gather() {
      var list = Object.keys(fingers).map(function (key) { return fingers[key]; }).slice(0, 2);
      if (!list.length) { return null; }
      if (list.length === 1) { return { x: list[0].x, y: list[0].y, spread: 0 }; }
      return {
        x: (list[0].x + list[1].x) / 2, y: (list[0].y + list[1].y) / 2,
        spread: Math.sqrt(Math.pow(list[0].x - list[1].x, 2) + Math.pow(list[0].y - list[1].y, 2))
      };
    }

    el.addEventListener('pointerdown', function (event) {
      if (el.setPointerCapture) { el.setPointerCapture(event.pointerId); }
      fingers[event.pointerId] = { x: event.clientX, y: event.clientY };
      last = gather();
    });
    el.addEventListener('pointermove', function (event) {
      var now;
      if (!fingers[event.pointerId]) { return; }
      fingers[event.pointerId] = { x: event.clientX, y: event.clientY };
      now = gather();
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
      tapped = quick ? 0 : event.timeStamp;
      if (quick) { zoom(scale > 1.01 ? 1 : 2.5, event.clientX, event.clientY); }
    });
    el.addEventListener('pointercancel', lift);
    el.addEventListener('wheel', function (event) {
      event.preventDefault();
      zoom(scale * (event.deltaY < 0 ? 1.15 : 1 / 1.15), event.clientX, event.clientY);
    });
    img.addEventListener('load', fit);
    img.addEventListener('error', function () { context.fail(); });
    window.addEventListener('resize', fit);

    return {
      el: el,
      tools: [
        BBT.button({ icon: 'minus', label: t('view.zoom_out'), onclick: function () { zoom(scale / STEP); } }),
        value,
        BBT.button({ icon: 'plus', label: t('view.zoom_in'), onclick: function () { zoom(scale * STEP); } }),
        BBT.button({ icon: 'fit', text: t('view.fit'), onclick: function () { zoom(1); } }),
        BBT.button({ icon: 'fullscreen', label: t('media.fullscreen'), onclick: function () { BBT.toggleFullscreen(); } })
      ],
      mounted: function () { img.src = context.item.url; },
      key: function (event) {
        if (event.key === '+' || event.key === '=') { zoom(scale * STEP); return true; }
        if (event.key === '-') { zoom(scale / STEP); return true; }
        return false;
      },
      destroy: function () {
        window.removeEventListener('resize', fit);
        img.removeAttribute('src');
      }
    };
  };
}());
