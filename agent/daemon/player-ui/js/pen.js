/* Writing over pages. What is written lives in this page's memory and nowhere else: it goes when the item is left, and is
   made a picture only when the teacher says so. */
(function () {
  'use strict';
  var BBT = window.BBT;
  var h = BBT.h, t = BBT.t;
  var COLOURS = ['#d81e1e', '#1b5fc4', '#0d7a3d', '#141414'];
  var NAMES = ['pen.colour0', 'pen.colour1', 'pen.colour2', 'pen.colour3'];
  /* Of the page's width. */
  var THIN = 0.004, THICK = 0.012;
  /* Points of all strokes together; beyond them the oldest stroke goes. */
  var MOST_POINTS = 60000;

  /* {pageOf(event) → {el, name} or null, picture(name) → canvas of the page, onchange()}. */
  BBT.pen = function (options) {
    var strokes = {}, order = [], points = 0, on = false, colour = COLOURS[0], wide = THIN, rubber = false, drawing = null;
    var bar = h('div', { 'class': 'seek pen-bar hidden', role: 'toolbar', 'aria-label': t('pen.title') });
    var canvases = {};

    function has() { return order.length > 0; }

    /* A canvas over the page, as sharp as the page is large on screen, within a budget of pixels. */
    function canvasOf(page) {
      var canvas = canvases[page.name];
      var factor = Math.min(window.devicePixelRatio || 1, Math.sqrt(4000000 / Math.max(1, page.el.offsetWidth * page.el.offsetHeight)));
      var w = Math.round(page.el.offsetWidth * factor), tall = Math.round(page.el.offsetHeight * factor);
      if (!canvas) {
        canvas = canvases[page.name] = h('canvas', { 'class': 'pen-canvas' });
      }
      if (canvas.parentNode !== page.el) { page.el.appendChild(canvas); }
      if (canvas.width !== w || canvas.height !== tall) {
        canvas.width = w;
        canvas.height = tall;
        paint(canvas.getContext('2d'), strokes[page.name] || [], w);
      }
      return canvas;
    }

    function paint(pen, list, width) {
      list.forEach(function (stroke) { line(pen, stroke, 0, width); });
      pen.globalCompositeOperation = 'source-over';
    }

    function line(pen, stroke, from, width) {
      var i, p = stroke.points;
      pen.globalCompositeOperation = stroke.rubber ? 'destination-out' : 'source-over';
      pen.strokeStyle = stroke.colour;
      pen.lineWidth = Math.max(1, (stroke.rubber ? 0.04 : stroke.wide) * width);
      pen.lineCap = pen.lineJoin = 'round';
      pen.beginPath();
      pen.moveTo(p[from] * width, p[from + 1] * width);
      if (p.length - from <= 2) { pen.lineTo(p[from] * width + 0.1, p[from + 1] * width); }
      for (i = from + 2; i < p.length; i += 2) { pen.lineTo(p[i] * width, p[i + 1] * width); }
      pen.stroke();
    }

    function repaint(name) {
      var canvas = canvases[name];
      if (!canvas) { return; }
      canvas.getContext('2d').clearRect(0, 0, canvas.width, canvas.height);
      paint(canvas.getContext('2d'), strokes[name] || [], canvas.width);
    }

    function drop(stroke) {
      var list = strokes[stroke.page];
      list.splice(list.indexOf(stroke), 1);
      points -= stroke.points.length;
      repaint(stroke.page);
    }

    function begin(event) {
      var page, box, stroke;
      if (!on || event.button || drawing) { return; }
      page = options.pageOf(event);
      if (!page) { return; }
      event.preventDefault();
      event.stopPropagation();
      box = page.el.getBoundingClientRect();
      stroke = { page: page.name, colour: colour, wide: wide, rubber: rubber, points: [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.width] };
      drawing = { id: event.pointerId, page: page, stroke: stroke, canvas: canvasOf(page) };
      (strokes[page.name] = strokes[page.name] || []).push(stroke);
      order.push(stroke);
      line(drawing.canvas.getContext('2d'), stroke, 0, drawing.canvas.width);
    }
    function move(event) {
      var box, all, stroke, before;
      if (!drawing || event.pointerId !== drawing.id) { return; }
      event.preventDefault();
      event.stopPropagation();
      box = drawing.page.el.getBoundingClientRect();
      stroke = drawing.stroke;
      before = stroke.points.length;
      all = event.getCoalescedEvents ? event.getCoalescedEvents() : [event];
      (all.length ? all : [event]).forEach(function (one) {
        stroke.points.push((one.clientX - box.left) / box.width, (one.clientY - box.top) / box.width);
      });
      line(drawing.canvas.getContext('2d'), stroke, before - 2, drawing.canvas.width);
    }
    function end(event) {
      if (!drawing || event.pointerId !== drawing.id) { return; }
      points += drawing.stroke.points.length;
      drawing = null;
      while (points > MOST_POINTS && order.length > 1) { drop(order.shift()); }
      refresh();
    }

    function undo() {
      if (has()) { drop(order.pop()); }
      refresh();
    }
    function clear() {
      strokes = {};
      order = [];
      points = 0;
      Object.keys(canvases).forEach(repaint);
      refresh();
    }

    /* The page with what is written on it, as a picture file of the teacher's choosing. */
    function save() {
      var name = order.length ? order[order.length - 1].page : null;
      var page = name === null ? null : options.picture(name), out, pen, over;
      if (!page) { return; }
      out = document.createElement('canvas');
      out.width = page.width;
      out.height = page.height;
      pen = out.getContext('2d');
      pen.drawImage(page, 0, 0);
      /* Of its own, so that the eraser takes away what is written and not the page. */
      over = document.createElement('canvas');
      over.width = out.width;
      over.height = out.height;
      paint(over.getContext('2d'), strokes[name] || [], out.width);
      pen.drawImage(over, 0, 0);
      out.toBlob(function (blob) {
        var url = URL.createObjectURL(blob);
        var link = h('a', { href: url, download: t('pen.file', { n: name }) });
        document.body.appendChild(link);
        link.click();
        document.body.removeChild(link);
        window.setTimeout(function () { URL.revokeObjectURL(url); }, 10000);
      }, 'image/png');
    }

    /* A question over everything: [{text, icon, primary, go}]. */
    function ask(title, text, answers) {
      var box = h('div', { 'class': 'desk desk-ask', role: 'alertdialog', 'aria-label': title });
      function shut() { box.parentNode.removeChild(box); }
      box.appendChild(h('div', { 'class': 'desk-card' }, [
        h('h2', { text: title }), h('p', { text: text }),
        h('div', { 'class': 'desk-row' }, answers.map(function (answer) {
          return BBT.button({ icon: answer.icon, text: answer.text, 'class': 'button-large' + (answer.primary ? ' button-primary' : ''), onclick: function () {
            shut();
            if (answer.go) { answer.go(); }
          } });
        }))
      ]));
      box.addEventListener('keydown', function (event) {
        event.stopPropagation();
        if (BBT.walk(box, event)) { event.preventDefault(); }
        if (event.key === 'Escape') { shut(); }
      });
      document.body.appendChild(box);
      box.querySelector('button').focus();
    }

    function refresh() {
      BBT.empty(bar);
      COLOURS.forEach(function (one, i) {
        var button = BBT.button({ label: t(NAMES[i]), text: ' ', 'class': 'pen-colour pen-colour-' + i + (one === colour && !rubber ? ' pen-chosen' : ''), onclick: function () {
          colour = one;
          rubber = false;
          refresh();
        } });
        bar.appendChild(button);
      });
      bar.appendChild(BBT.button({ icon: 'pen', text: t(wide === THIN ? 'pen.thin' : 'pen.thick'), onclick: function () {
        wide = wide === THIN ? THICK : THIN;
        refresh();
      } }));
      bar.appendChild(BBT.button({ icon: 'eraser', text: t('pen.eraser'), 'class': rubber ? 'button-on' : '', onclick: function () {
        rubber = !rubber;
        refresh();
      } }));
      [['back', 'pen.undo', undo, 'button-undo'], ['cross', 'pen.clear', clear, 'button-clear'], ['download', 'pen.save', function () {
        ask(t('pen.save_title'), t('pen.save_text'), [
          { icon: 'download', text: t('pen.save_yes'), primary: true, go: save }, { icon: 'cross', text: t('pen.no') }
        ]);
      }, 'button-save']].forEach(function (tool) {
        var button = BBT.button({ icon: tool[0], text: t(tool[1]), 'class': tool[3], onclick: tool[2] });
        button.disabled = !has();
        bar.appendChild(button);
      });
      options.onchange();
    }

    ['pointerdown', 'pointermove', 'pointerup', 'pointercancel'].forEach(function (name) {
      options.el.addEventListener(name, name === 'pointerdown' ? begin : name === 'pointermove' ? move : end, true);
    });
    refresh();

    return {
      bar: bar,
      isOn: function () { return on; },
      toggle: function () {
        on = !on;
        BBT.toggle(bar, 'hidden', !on);
        BBT.toggle(options.el, 'pen-on', on);
        return on;
      },
      /* A page was drawn anew or in another size. */
      redraw: function (page) { if (strokes[page.name] && strokes[page.name].length) { canvasOf(page); } },
      /* A page went off the screen: its canvas need not stay, its strokes do. */
      forget: function (name) {
        var canvas = canvases[name];
        if (!canvas) { return; }
        canvas.width = canvas.height = 0;
        if (canvas.parentNode) { canvas.parentNode.removeChild(canvas); }
        delete canvases[name];
      },
      /* true: the teacher is asked, and `go` follows from the answer. */
      leaving: function (go) {
        if (!has()) { return false; }
        ask(t('pen.leave_title'), t('pen.leave_text'), [
          { icon: 'check', text: t('pen.leave_yes'), primary: true, go: go },
          { icon: 'download', text: t('pen.save'), go: save },
          { icon: 'back', text: t('pen.stay') }
        ]);
        return true;
      },
      destroy: function () {
        Object.keys(canvases).forEach(function (name) { canvases[name].width = canvases[name].height = 0; });
        [].forEach.call(document.querySelectorAll('.desk-ask'), function (old) { old.parentNode.removeChild(old); });
      }
    };
  };
}());
